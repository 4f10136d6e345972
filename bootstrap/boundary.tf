# What no role of an environment can go beyond, whatever its policy says. So who may write policies of these roles, as
# GitHub's role `apply` may, can't make an administrator of one.
resource "aws_iam_policy" "boundary" {
  for_each    = local.settings
  name        = "${local.names[each.key]}-boundary"
  description = "What no role of ${local.names[each.key]} can go beyond."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "OwnObjects"
        Effect = "Allow"
        Action = [
          "s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject",
          "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
        ]
        Resource = [local.arns[each.key].lake, "${local.arns[each.key].lake}/*"]
      },
      {
        Sid    = "OwnStreamTableQueueAndTopic"
        Effect = "Allow"
        Action = [
          "kinesis:Describe*", "kinesis:Get*", "kinesis:List*", "kinesis:Put*",
          "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DescribeTable",
          "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes",
          "sns:Publish", "lambda:InvokeFunction", "secretsmanager:GetSecretValue",
        ]
        Resource = [
          local.arns[each.key].stream, local.arns[each.key].table, local.arns[each.key].queues, local.arns[each.key].topics,
          local.arns[each.key].functions, local.arns[each.key].secrets,
          "${local.in_region[each.key].secretsmanager}:secret:rds!db-*",
        ]
      },
      {
        Sid      = "OwnCatalogAndQueries"
        Effect   = "Allow"
        Action   = ["glue:*Partition*", "glue:*Table*", "glue:GetDatabase*", "athena:*Quer*", "athena:GetWorkGroup"]
        Resource = concat(local.arns[each.key].glue, local.arns[each.key].workgroups)
      },
      {
        Sid       = "OwnKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "${local.in_region[each.key].kms}:key/*"
        Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.names[each.key]}" } }
      },
      {
        Sid    = "OwnTasks"
        Effect = "Allow"
        Action = ["ecs:RunTask", "ecs:StopTask", "ecs:DescribeTasks", "ecs:TagResource"]
        Resource = [
          "${local.in_region[each.key].ecs}:task-definition/${local.arns[each.key].dagster}-*",
          "${local.in_region[each.key].ecs}:task/${local.arns[each.key].dagster}/*",
        ]
      },
      {
        Sid       = "OwnRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = local.arns[each.key].roles
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid    = "OwnImagesLogsAndDatabase"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "logs:CreateLogStream",
          "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:DescribeLogGroups", "logs:GetLogEvents", "rds-db:connect",
        ]
        Resource = [
          "${local.in_region[each.key].ecr}:repository/${local.arns[each.key].dagster}",
          "${local.in_region[each.key].logs}:log-group:*",
          "${local.in_region[each.key].rds-db}:dbuser:*/dagster",
        ]
      },
      {
        # of services that know no resource here
        Sid    = "LookAround"
        Effect = "Allow"
        Action = [
          "xray:PutTraceSegments", "xray:PutTelemetryRecords", "ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition",
          "ecs:ListAccountSettings", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ssmmessages:*",
          "cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms",
        ]
        Resource = "*"
      },
    ]
  })
}
