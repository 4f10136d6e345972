# One function with its log group, its role, and what bounds its retries.

# Before the function, which would otherwise make one that keeps logs for ever.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "What the function ${var.name} may do."

  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = var.name
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid      = "WriteLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${var.log_group_arn_prefix}:/aws/lambda/${var.name}:*"
    }], var.statements)
  })
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  handler                        = "app.handler"
  runtime                        = var.runtime
  architectures                  = [var.architecture]
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  s3_bucket                      = var.package.bucket
  s3_key                         = var.package.key
  source_code_hash               = var.package.sha256_base64
  kms_key_arn                    = var.kms_key_arn

  environment {
    variables = var.environment
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  tracing_config {
    mode = "Active"
  }

  # without its permissions a function would fail on the first records
  depends_on = [aws_iam_role_policy.this]
}

# An event that is invoked asynchronously (by the scheduler) is not tried again: the next tick does the same work.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_lambda_event_source_mapping" "this" {
  count                              = var.stream == null ? 0 : 1
  event_source_arn                   = var.stream.arn
  function_name                      = aws_lambda_function.this.arn
  batch_size                         = var.stream.mapping.batch_size
  maximum_batching_window_in_seconds = var.stream.mapping.maximum_batching_window_in_seconds
  parallelization_factor             = var.stream.mapping.parallelization_factor
  bisect_batch_on_function_error     = var.stream.mapping.bisect_batch_on_function_error
  maximum_retry_attempts             = var.stream.mapping.maximum_retry_attempts
  maximum_record_age_in_seconds      = var.stream.mapping.maximum_record_age_in_seconds
  starting_position                  = var.stream.mapping.starting_position
  function_response_types            = var.stream.mapping.function_response_types

  # a bucket and no queue: it keeps the records, where a queue would get their sequence numbers only
  destination_config {
    on_failure {
      destination_arn = var.stream.on_failure_bucket_arn
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }
}
