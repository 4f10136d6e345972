# The stream, its consumer, and what becomes of what the consumer gives up.
variables {
  packages_file = "tests/packages.json"
  alert_email   = "alarms@example.com"
}

mock_provider "aws" {
  source = "./tests/aws"
}

run "stream" {
  command = plan

  assert {
    condition     = module.stream.stream.encryption_type == "KMS"
    error_message = "The stream is encrypted."
  }
  assert {
    condition     = (var.environment == "prod" ? "alias/aws/kinesis" : module.stream.stream.kms_key_id) == "alias/aws/kinesis"
    error_message = "dev encrypts with the key that AWS manages."
  }
  assert {
    condition     = jsonencode(aws_kms_key.data[*].enable_key_rotation) == (var.environment == "prod" ? "[true]" : "[]")
    error_message = "prod encrypts with a key of its own, which rotates."
  }
}

run "event_source_mapping" {
  command = plan

  assert {
    condition     = module.processor.event_source_mapping.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "The processor's answer names what to deliver again."
  }
  assert {
    condition     = module.processor.event_source_mapping.bisect_batch_on_function_error == true
    error_message = "A failing batch is split."
  }
  assert {
    condition     = module.processor.event_source_mapping.starting_position == "TRIM_HORIZON"
    error_message = "LATEST would lose what was sent before the mapping became active."
  }
  assert {
    condition     = module.processor.event_source_mapping.parallelization_factor == 1
    error_message = "One invocation a shard at a time."
  }
  assert {
    condition = anytrue([
      for statement in module.processor.policy.Statement :
      contains(flatten([statement.Action]), "s3:PutObject") &&
      contains(flatten([statement.Resource]), "arn:aws:s3:::${var.bucket_name}/aws/lambda/*")
    ])
    error_message = "The processor's role may write where Lambda puts what it gave up."
  }
}

run "notification" {
  command = plan

  assert {
    condition     = toset(module.lake.bucket.notification.queue[*].filter_prefix) == toset(["aws/lambda/"])
    error_message = "Both places of failed batches are announced to the queue."
  }
  assert {
    condition     = alltrue([for queue in module.lake.bucket.notification.queue : queue.events == toset(["s3:ObjectCreated:*"])])
    error_message = "Every new object is announced."
  }
  assert {
    condition = anytrue([
      for statement in module.dlq.policy.Statement :
      statement.Effect == "Allow" && try(statement.Principal.Service, "") == "s3.amazonaws.com" &&
      try(statement.Condition.ArnEquals["aws:SourceArn"], "") == "arn:aws:s3:::${var.bucket_name}"
    ])
    error_message = "The queue takes the bucket's notifications, and nobody else's."
  }
}

run "dead_letter_queue" {
  command = plan

  assert {
    condition     = module.dlq.queue.message_retention_seconds == 1209600
    error_message = "The queue keeps messages for 14 days."
  }
  assert {
    condition     = module.dlq.queue.visibility_timeout_seconds >= 6 * var.functions.redrive.timeout_seconds
    error_message = "A message stays hidden for six timeouts of its reader."
  }
}
