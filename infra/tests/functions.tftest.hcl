# The three functions and their schedules.
variables {
  packages_file = "tests/packages.json"
}

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

run "functions" {
  command = plan

  assert {
    condition     = alltrue([for function in [module.producer, module.processor, module.redrive] : function.function.runtime == "python3.13"])
    error_message = "Functions run on python3.13."
  }
  assert {
    condition     = alltrue([for function in [module.producer, module.processor, module.redrive] : function.function.architectures == tolist(["arm64"])])
    error_message = "Functions run on arm64."
  }
  assert {
    condition     = module.processor.function.memory_size == 1024 && module.processor.function.timeout == 60
    error_message = "The processor has 1 GB and a minute."
  }
  assert {
    condition     = module.producer.function.memory_size == 512 && module.producer.function.timeout == 60
    error_message = "The producer has 512 MB and a minute."
  }
  assert {
    condition     = module.redrive.function.memory_size == 512 && module.redrive.function.timeout == 300
    error_message = "Redrive has 512 MB and five minutes."
  }
  assert {
    condition     = module.producer.function.reserved_concurrent_executions == 1
    error_message = "Two producers never run at once."
  }
  assert {
    condition     = module.redrive.function.reserved_concurrent_executions == 1
    error_message = "Two redrives never run at once."
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
    condition = alltrue([for function in [module.producer, module.processor, module.redrive] :
      function.log_group.name == "/aws/lambda/${function.function.function_name}" &&
      function.log_group.retention_in_days == (var.environment == "prod" ? 90 : 14)
    ])
    error_message = "Each function has a log group with retention, 90 days in prod and 14 in dev."
  }
  assert {
    condition = alltrue(flatten([for function in [module.producer, module.processor, module.redrive] : [
      for name in keys(function.function.environment[0].variables) :
      length(regexall("(?i)(secret|password|token|api_?key)", name)) == 0 || endswith(name, "_SECRET_NAME")
    ]]))
    error_message = "No secret is in an environment."
  }
  assert {
    condition     = alltrue([for function in [module.producer, module.processor, module.redrive] : function.invoke_config.maximum_retry_attempts == 0])
    error_message = "A scheduled invocation is not repeated: the next tick does its work."
  }
}

run "least_privilege" {
  command = plan

  assert {
    condition = alltrue(flatten([for function in [module.producer, module.processor, module.redrive] : [
      for statement in function.policy.Statement : statement.Resource != "*" || statement.Sid == "WriteTraces"
    ]]))
    error_message = "Only X-Ray, which has no ARNs, may be given every resource."
  }
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
}

run "schedules" {
  command = plan

  assert {
    condition     = alltrue([for schedule in module.scheduler.schedules : schedule.schedule_expression_timezone == "America/New_York"])
    error_message = "Schedules follow New York's clock."
  }
  assert {
    condition     = module.scheduler.schedules["producer"].schedule_expression == "cron(* 4-19 ? * MON-FRI *)"
    error_message = "The producer runs every minute of the extended hours, 04:00 to 20:00."
  }
  assert {
    condition     = alltrue([for schedule in module.scheduler.schedules : schedule.state == "ENABLED"])
    error_message = "Schedules run."
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

run "missing_packages_are_noticed" {
  command = plan
  variables {
    packages_file = "tests/no-such-file.json"
  }
  expect_failures = [check.packages_are_built]
}
