# The three functions and their schedules.
variables {
  packages_file = "tests/packages.json"
  alert_email   = "alarms@example.com"
}

mock_provider "aws" {
  source = "./tests/aws"
}

run "functions" {
  command = plan

  assert {
    condition     = alltrue([for function in [module.producer, module.redrive] : function.function.reserved_concurrent_executions == 1])
    error_message = "Two producers never run at once, and two redrives neither."
  }
  assert {
    condition     = module.processor.function.reserved_concurrent_executions == -1
    error_message = "The processor grows with the shards."
  }
  assert {
    condition     = alltrue([for function in [module.producer, module.processor, module.redrive] : function.function.logging_config[0].log_format == "JSON"])
    error_message = "Logs are JSON."
  }
  assert {
    condition     = alltrue([for function in [module.producer, module.processor, module.redrive] : function.function.tracing_config[0].mode == "Active"])
    error_message = "Invocations are traced."
  }
  assert {
    condition     = alltrue([for function in [module.producer, module.processor, module.redrive] : function.invoke_config.maximum_retry_attempts == 0])
    error_message = "A scheduled invocation is not repeated: the next tick does its work."
  }
}

run "least_privilege" {
  command = plan

  assert {
    condition = !anytrue(flatten([for function in [module.producer, module.processor, module.redrive] : [
      for statement in function.policy.Statement : [for action in statement.Action : startswith(action, "s3:Delete")]
    ]]))
    error_message = "No function deletes objects."
  }
  assert {
    condition     = length(distinct([for function in [module.producer, module.processor, module.redrive] : jsonencode(function.policy)])) == 3
    error_message = "Each function has a role of its own."
  }
  assert {
    condition = alltrue([
      for statement in concat(module.processor.policy.Statement, module.redrive.policy.Statement) :
      !contains(statement.Action, "secretsmanager:GetSecretValue")
    ])
    error_message = "Only the producer reads secrets."
  }
  assert {
    condition     = toset(flatten(values(local.may))) == toset(keys(local.grants))
    error_message = "No grant is left that nobody takes."
  }
}

run "schedules" {
  command = plan

  assert {
    condition     = alltrue([for schedule in module.scheduler.schedules : schedule.schedule_expression_timezone == "America/New_York"])
    error_message = "Schedules follow New York's clock."
  }
  assert {
    condition     = alltrue([for schedule in module.scheduler.schedules : schedule.flexible_time_window[0].mode == "OFF"])
    error_message = "Schedules run on time."
  }
  assert {
    condition     = alltrue([for schedule in module.scheduler.schedules : schedule.target[0].retry_policy[0].maximum_event_age_in_seconds == 60])
    error_message = "A tick is not delivered late."
  }
}

run "encrypted_schedules" {
  command = plan

  assert {
    condition     = anytrue([for statement in module.scheduler.policy.Statement : contains(statement.Action, "kms:Decrypt")]) == var.customer_key
    error_message = "A schedule that is encrypted is read with its own role."
  }
}

run "no_schedules" {
  command = plan
  variables {
    schedules_enabled = false
  }

  assert {
    condition     = alltrue([for schedule in module.scheduler.schedules : schedule.state == "DISABLED"])
    error_message = "Schedules can be switched off."
  }
}

run "a_producer_that_overlaps_is_refused" {
  command = plan
  variables {
    functions = {
      producer  = { memory_mb = 512, timeout_seconds = 90 }
      processor = { memory_mb = 512, timeout_seconds = 60 }
      redrive   = { memory_mb = 512, timeout_seconds = 60 }
    }
  }
  expect_failures = [var.functions]
}

run "symbols_that_do_not_fit_into_the_environment_are_refused" {
  command = plan
  variables {
    symbols = [for number in range(600) : format("S%04d", number)]
  }
  expect_failures = [var.symbols]
}

run "a_new_account_without_reserved_concurrency" {
  command = plan
  variables {
    reserve_concurrency = false
  }

  assert {
    condition     = alltrue([for function in [module.producer, module.redrive] : function.function.reserved_concurrent_executions == -1])
    error_message = "An account of ten concurrent executions has none to reserve."
  }
}

run "missing_packages_are_noticed" {
  command = plan
  variables {
    packages_file = "tests/no-such-file.json"
  }
  expect_failures = [check.packages_are_built]
}
