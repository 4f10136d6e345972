# The pipeline in an account: storage, stream, catalog, and who watches them. The functions are in functions.tf.
module "lake" {
  source           = "./modules/s3"
  name             = var.bucket_name
  partition        = local.partition
  kms_key_arn      = local.kms_key_arn
  force_destroy    = !var.protected
  notify_queue_arn = module.dlq.arn
  # not of failed/: the producer announces what it keeps there, with the reason
  notify_queue_prefixes = ["aws/lambda/"]

  # What may be the only copy of a trade has no rule: raw files without the tag, failed batches (failed/, aws/lambda/), and
  # parked messages, large ones and unreadable raw files in the quarantine.
  lifecycle_rules = [
    # garbage collection gives the tag
    { prefix = "raw/", tags = { compacted = "true" }, expire_days = var.raw_expire_days },
    { prefix = "curated/", infrequent_access_days = 90 },
    # each rejected line is a message too, which is redriven or parked
    { prefix = "quarantine/records/", expire_days = 90 },
    { prefix = "redrive/", expire_days = 90 },
    { prefix = "athena-results/", expire_days = 14 },
    { prefix = "dagster-logs/", expire_days = 30 },
  ]
}

# The functions' packages: they are larger than what Lambda takes directly.
module "artifacts" {
  source        = "./modules/s3"
  name          = "${var.bucket_name}-artifacts"
  partition     = local.partition
  kms_key_arn   = local.kms_key_arn
  force_destroy = !var.protected
}

module "dlq" {
  source                     = "./modules/dlq"
  name                       = local.queue_name
  arn                        = local.arn.queue
  account_id                 = local.account_id
  source_bucket_arn          = local.arn.bucket
  visibility_timeout_seconds = 6 * var.functions.redrive.timeout_seconds
}

module "stream" {
  source          = "./modules/kinesis"
  name            = var.stream_name
  stream_mode     = var.stream_mode
  shard_count     = var.shard_count
  retention_hours = var.stream_retention_hours
  kms_key_arn     = local.kms_key_arn
  force_destroy   = !var.protected
  shard_level_metrics = var.shard_level_metrics ? [
    "IteratorAgeMilliseconds", "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded",
  ] : []
}

module "state" {
  source              = "./modules/dynamodb"
  name                = var.state_table_name
  deletion_protection = var.protected
  recovery_days       = var.backup_days
  kms_key_arn         = local.kms_key_arn
  max_request_units   = var.table_max_request_units
}

module "secrets" {
  source        = "./modules/secrets"
  names         = [local.secret_name]
  kms_key_arn   = local.kms_key_arn
  recovery_days = var.protected ? 30 : 0
}

module "catalog" {
  source        = "./modules/catalog"
  database_name = var.database_name
  bucket_name   = var.bucket_name
  registry_name = local.name
  trade_schema  = file("${path.root}/../contracts/trade.v2.schema.json")
}

# For people. The pipeline has a workgroup of its own: a limit for a slip of the hand would stop a compaction.
module "athena" {
  source            = "./modules/athena"
  name              = local.name
  account_id        = local.account_id
  output_location   = "s3://${var.bucket_name}/athena-results/"
  scan_cutoff_bytes = var.query_scan_cutoff_bytes
  encryption_option = var.customer_key ? "SSE_KMS" : "SSE_S3"
  kms_key_arn       = local.kms_key_arn
  force_destroy     = !var.protected
}

module "athena_of_the_pipeline" {
  source            = "./modules/athena"
  name              = local.workgroup_name
  account_id        = local.account_id
  output_location   = "s3://${var.bucket_name}/athena-results/"
  scan_cutoff_bytes = var.athena_scan_cutoff_bytes
  encryption_option = var.customer_key ? "SSE_KMS" : "SSE_S3"
  kms_key_arn       = local.kms_key_arn
  force_destroy     = !var.protected
}

module "scheduler" {
  source      = "./modules/scheduler"
  name        = local.name
  account_id  = local.account_id
  arn_prefix  = local.arn.scheduler
  kms_key_arn = local.kms_key_arn
  statements  = local.statements.scheduler

  permissions_boundary = local.arn.boundary

  schedules = {
    producer = {
      description  = "Polls the price API every minute of the extended hours, and until a delayed feed has shown them."
      expression   = "cron(* 4-20 ? * MON-FRI *)"
      function_arn = local.arn.function.producer
      enabled      = var.schedules_enabled
    }
    redrive = {
      description  = "Sends what is in the dead-letter queue through the stream again, before the day begins."
      expression   = "cron(0 3 ? * MON-FRI *)"
      function_arn = local.arn.function.redrive
      enabled      = var.schedules_enabled
    }
  }

  depends_on = [module.producer, module.redrive]
}

module "observability" {
  source             = "./modules/observability"
  name               = local.name
  environment        = var.environment
  aws_region         = var.aws_region
  account_id         = local.account_id
  topic_arn          = local.arn.topic
  stream_name        = var.stream_name
  queue_name         = local.queue_name
  table_name         = var.state_table_name
  schedule_group     = local.name
  producer           = var.dagster_enabled && var.stream_producer_command != null ? "stream" : var.schedules_enabled ? "schedule" : "none"
  feed_delay_seconds = var.feed == "sip" ? 16 * 60 : 0
  # by name, so that the plan shows what is watched
  dagster = var.dagster_enabled ? {
    cluster  = "${local.name}-dagster"
    services = concat(["code", "webserver", "daemon"], var.page == null ? [] : ["page"])
    database = "${local.name}-dagster"
  } : null
  monthly_budget_usd = local.has_budgets ? var.monthly_budget_usd : null
  alert_email        = var.alert_email
  kms_key_arn        = local.kms_key_arn

  functions = {
    for key, name in local.function_names : key => {
      name            = name
      timeout_seconds = var.functions[key].timeout_seconds
      # the producer works until shortly before its timeout: that is no sign of trouble
      duration_alarm_share = key == "producer" ? 0.98 : 0.8
    }
  }
}
