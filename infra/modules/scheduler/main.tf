# Invokes functions on New York's clock, summer and winter.
resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

resource "aws_iam_role" "this" {
  name        = "${var.name}-scheduler"
  description = "Lets the scheduler invoke the functions of ${var.name}."

  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = var.account_id
          "aws:SourceArn"     = "${var.arn_prefix}:schedule-group/${var.name}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "invoke"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid      = "InvokeFunctions"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [for schedule in var.schedules : schedule.function_arn]
    }], var.statements)
  })
}

resource "aws_scheduler_schedule" "this" {
  for_each                     = var.schedules
  name                         = each.key
  description                  = each.value.description
  group_name                   = aws_scheduler_schedule_group.this.name
  schedule_expression          = each.value.expression
  schedule_expression_timezone = "America/New_York"
  state                        = each.value.enabled ? "ENABLED" : "DISABLED"
  kms_key_arn                  = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = each.value.function_arn
    role_arn = aws_iam_role.this.arn

    # a tick that comes late is of no use: the next one does its work
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 2
    }
  }

  # a schedule that is encrypted can't be read before its role may
  depends_on = [aws_iam_role_policy.this]
}
