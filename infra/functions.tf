# The three functions, each with what it may do. Their zips come from `make lambdas`; nothing is built here.
locals {
  packages_path = "${path.root}/${var.packages_file}"
  packages_dir  = dirname(local.packages_path)
  unbuilt = {
    python       = "3.13"
    architecture = "arm64"
    functions    = {}
  }
  packages = fileexists(local.packages_path) ? jsondecode(file(local.packages_path)) : local.unbuilt
  package = {
    for key in keys(local.function_names) : key => {
      file   = try("${local.packages_dir}/${local.packages.functions[key].file}", "${local.packages_dir}/${key}.zip")
      sha256 = try(local.packages.functions[key].sha256_base64, "unbuilt")
      key    = try("lambdas/${key}/${local.packages.functions[key].sha256_hex}.zip", "lambdas/${key}/unbuilt.zip")
    }
  }
  runtime = "python${local.packages.python}"

  event_source_mapping = jsondecode(file("${path.root}/event_source_mapping.json"))

  # Reading and writing with the customer managed key, where there is one. It is named by its alias, which a plan knows.
  use_of_key = [for alias in local.key_aliases : {
    sid        = "UseKey"
    actions    = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources  = [local.arn.keys]
    conditions = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = [alias] } }
  }]
}

check "packages_are_built" {
  assert {
    condition     = alltrue([for key in keys(local.function_names) : can(local.packages.functions[key].sha256_base64)])
    error_message = "Packages are missing in ${var.packages_file}: run `make lambdas` before an apply."
  }
}

resource "aws_s3_object" "package" {
  for_each    = local.package
  bucket      = module.artifacts.id
  key         = each.value.key
  source      = each.value.file
  source_hash = each.value.sha256
}

module "producer" {
  source               = "./modules/lambda"
  name                 = local.function_names.producer
  description          = "Polls a price API and puts its trades into the stream."
  runtime              = local.runtime
  architecture         = local.packages.architecture
  memory_mb            = var.functions.producer.memory_mb
  timeout_seconds      = var.functions.producer.timeout_seconds
  reserved_concurrency = 1
  environment          = local.settings
  log_group_arn_prefix = local.arn.log_group_prefix
  log_retention_days   = var.log_retention_days
  kms_key_arn          = local.kms_key_arn
  package = {
    bucket        = module.artifacts.id
    key           = aws_s3_object.package["producer"].key
    sha256_base64 = local.package.producer.sha256
  }

  statements = concat(local.use_of_key, [
    {
      sid       = "ReadKeyOfThePriceApi"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [local.arn.secret]
    },
    {
      sid       = "PutRecords"
      actions   = ["kinesis:PutRecord", "kinesis:PutRecords"]
      resources = [local.arn.stream]
    },
    {
      sid       = "KeepCheckpoints"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${local.arn.bucket}/checkpoints/*"]
    },
    {
      sid       = "KeepWhatTheStreamRefused"
      actions   = ["s3:PutObject"]
      resources = ["${local.arn.bucket}/failed/*", "${local.arn.bucket}/quarantine/*"]
    },
    {
      # without it S3 answers a missing checkpoint with 403 instead of 404
      sid       = "ListBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.arn.bucket]
    },
    {
      sid       = "SendDeadLetters"
      actions   = ["sqs:SendMessage"]
      resources = [local.arn.queue]
    },
  ])
}

module "processor" {
  source               = "./modules/lambda"
  name                 = local.function_names.processor
  description          = "Takes trades from the stream into the lake and the realtime state."
  runtime              = local.runtime
  architecture         = local.packages.architecture
  memory_mb            = var.functions.processor.memory_mb
  timeout_seconds      = var.functions.processor.timeout_seconds
  environment          = local.settings
  log_group_arn_prefix = local.arn.log_group_prefix
  log_retention_days   = var.log_retention_days
  kms_key_arn          = local.kms_key_arn
  package = {
    bucket        = module.artifacts.id
    key           = aws_s3_object.package["processor"].key
    sha256_base64 = local.package.processor.sha256
  }

  stream = {
    arn                   = module.stream.arn
    on_failure_bucket_arn = module.lake.arn
    mapping               = local.event_source_mapping
  }

  statements = concat(local.use_of_key, [
    {
      sid = "ReadStream"
      actions = [
        "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator",
        "kinesis:ListShards",
      ]
      resources = [local.arn.stream]
    },
    {
      sid       = "WriteTrades"
      actions   = ["s3:PutObject"]
      resources = ["${local.arn.bucket}/raw/*", "${local.arn.bucket}/quarantine/*"]
    },
    {
      # Lambda writes the batches it gave up with the function's own role
      sid       = "WriteFailedBatches"
      actions   = ["s3:PutObject"]
      resources = ["${local.arn.bucket}/aws/lambda/*"]
    },
    {
      sid       = "ListBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.arn.bucket]
    },
    {
      sid       = "ReadAndWriteState"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:PutItem"]
      resources = [local.arn.table]
    },
    {
      sid       = "SendDeadLetters"
      actions   = ["sqs:SendMessage"]
      resources = [local.arn.queue]
    },
  ])
}

module "redrive" {
  source               = "./modules/lambda"
  name                 = local.function_names.redrive
  description          = "Sends what is in the dead-letter queue through the stream again."
  runtime              = local.runtime
  architecture         = local.packages.architecture
  memory_mb            = var.functions.redrive.memory_mb
  timeout_seconds      = var.functions.redrive.timeout_seconds
  reserved_concurrency = 1
  environment          = local.settings
  log_group_arn_prefix = local.arn.log_group_prefix
  log_retention_days   = var.log_retention_days
  kms_key_arn          = local.kms_key_arn
  package = {
    bucket        = module.artifacts.id
    key           = aws_s3_object.package["redrive"].key
    sha256_base64 = local.package.redrive.sha256
  }

  statements = concat(local.use_of_key, [
    {
      sid = "TakeDeadLetters"
      actions = [
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes",
        "sqs:SendMessage",
      ]
      resources = [local.arn.queue]
    },
    {
      sid       = "ReadWhatWasKept"
      actions   = ["s3:GetObject"]
      resources = [for prefix in ["failed", "aws/lambda", "quarantine", "redrive"] : "${local.arn.bucket}/${prefix}/*"]
    },
    {
      sid       = "ListBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.arn.bucket]
    },
    {
      sid = "ReadBatchesAgain"
      actions = [
        "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards",
      ]
      resources = [local.arn.stream]
    },
    {
      sid       = "PutRecords"
      actions   = ["kinesis:PutRecord", "kinesis:PutRecords"]
      resources = [local.arn.stream]
    },
    {
      sid       = "ParkAndKeepBooks"
      actions   = ["s3:PutObject"]
      resources = ["${local.arn.bucket}/quarantine/*", "${local.arn.bucket}/redrive/*"]
    },
  ])
}
