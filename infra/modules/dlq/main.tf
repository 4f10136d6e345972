# The dead-letter queue: what can't be processed, kept for two weeks with its payload or a pointer to it.
resource "aws_sqs_queue" "this" {
  name                       = var.name
  message_retention_seconds  = 14 * 24 * 60 * 60
  visibility_timeout_seconds = var.visibility_timeout_seconds
  sqs_managed_sse_enabled    = true

  # nothing may use it as its own redrive target: the pipeline alone fills it
  redrive_allow_policy = jsonencode({ redrivePermission = "denyAll" })
}

resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = var.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "AllowNotificationsOfTheBucket"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = var.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = var.source_bucket_arn }
          StringEquals = { "aws:SourceAccount" = var.account_id }
        }
      },
    ]
  })
}
