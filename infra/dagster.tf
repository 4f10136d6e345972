# Dagster in the account, where it is wanted; elsewhere `dagster dev` on a laptop does the same work (docs/deploy.md).
module "dagster" {
  count                   = var.dagster_enabled ? 1 : 0
  source                  = "./modules/dagster"
  name                    = "${local.name}-dagster"
  aws_region              = var.aws_region
  account_id              = local.account_id
  partition               = local.partition
  image_tag               = var.dagster_image_tag
  environment             = merge(local.settings, { AWS_REGION = var.aws_region })
  bucket_arn              = local.arn.bucket
  work_statements         = local.dagster_work
  produce_statements      = [for statement in module.producer.policy.Statement : statement if statement.Sid != "WriteLogs"]
  stream_producer_command = var.stream_producer_command
  log_retention_days      = var.log_retention_days
  protected               = var.protected
  kms_key_arn             = local.kms_key_arn
}

locals {
  glue = "arn:${local.partition}:glue:${var.aws_region}:${local.account_id}"

  dagster_work = concat(
    [for statement in local.use_of_key : {
      Sid       = statement.sid
      Effect    = "Allow"
      Action    = statement.actions
      Resource  = statement.resources
      Condition = statement.conditions
    }],
    [
      {
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:GetBucketLocation"]
        Resource = [local.arn.bucket]
      },
      {
        Sid      = "ReadTheLake"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local.arn.bucket}/*"]
      },
      {
        Sid      = "WriteCuratedTradesAndModels"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = [for prefix in ["curated", "marts", "athena-results"] : "${local.arn.bucket}/${prefix}/*"]
      },
      {
        # whatever else is allowed one day: raw trades are what everything can be made from again
        Sid      = "NeverTouchRawTrades"
        Effect   = "Deny"
        Action   = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"]
        Resource = ["${local.arn.bucket}/raw/*"]
      },
      {
        Sid    = "PublishPartitionsAndModels"
        Effect = "Allow"
        Action = [
          "glue:GetDatabase", "glue:GetDatabases", "glue:GetTable", "glue:GetTables", "glue:GetTableVersions",
          "glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition", "glue:CreatePartition",
          "glue:UpdatePartition", "glue:BatchCreatePartition", "glue:DeletePartition", "glue:BatchDeletePartition",
          "glue:CreateTable", "glue:UpdateTable", "glue:DeleteTable", "glue:DeleteTableVersion",
          "glue:BatchDeleteTableVersion",
        ]
        Resource = [
          "${local.glue}:catalog", "${local.glue}:database/${var.database_name}", "${local.glue}:table/${var.database_name}/*",
        ]
      },
      {
        Sid    = "Query"
        Effect = "Allow"
        Action = [
          "athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults",
          "athena:GetWorkGroup",
        ]
        Resource = ["arn:${local.partition}:athena:${var.aws_region}:${local.account_id}:workgroup/${local.name}"]
      },
      {
        Sid      = "CompareWithTheRealtimeTable"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:Scan"]
        Resource = [local.arn.table]
      },
      {
        Sid    = "WatchTheQueueAndTheStream"
        Effect = "Allow"
        Action = ["sqs:GetQueueAttributes", "kinesis:DescribeStreamSummary"]
        Resource = [
          local.arn.queue,
          local.arn.stream,
        ]
      },
      {
        Sid      = "LookAtTheRealtimeTable"
        Effect   = "Allow"
        Action   = ["dynamodb:Scan"]
        Resource = [local.arn.table]
      },
      {
        Sid      = "TellOfFailedRuns"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [local.arn.topic]
      },
    ],
    # redrive runs there too, with what the function may do
    [for statement in module.redrive.policy.Statement : statement if !contains(["WriteLogs", "UseKey", "ListBucket"], statement.Sid)],
  )
}
