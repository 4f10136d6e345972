# ARNs written from names: a plan shows every policy whole before anything exists, and tests read it there.
# Where one resource has to wait for another, it takes the ARN that the resource itself answers with.
data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name       = "${var.project_name}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  # GovCloud has no Budgets: what an account there costs is told in the standard account that pays for it.
  # https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/usage-and-payment.html
  has_budgets = local.partition != "aws-us-gov"
  dns_suffix  = local.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"

  function_names = { for key in ["producer", "processor", "redrive"] : key => "${local.name}-${key}" }
  queue_name     = "${local.name}-dead-letter"
  workgroup_name = "${local.name}-pipeline"
  secret_name    = "${var.project_name}/${var.environment}/provider"

  arn = {
    stream    = "arn:${local.partition}:kinesis:${var.aws_region}:${local.account_id}:stream/${var.stream_name}"
    table     = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account_id}:table/${var.state_table_name}"
    queue     = "arn:${local.partition}:sqs:${var.aws_region}:${local.account_id}:${local.queue_name}"
    topic     = "arn:${local.partition}:sns:${var.aws_region}:${local.account_id}:${local.name}-alarms"
    bucket    = "arn:${local.partition}:s3:::${var.bucket_name}"
    glue      = "arn:${local.partition}:glue:${var.aws_region}:${local.account_id}"
    workgroup = "arn:${local.partition}:athena:${var.aws_region}:${local.account_id}:workgroup/${local.workgroup_name}"
    scheduler = "arn:${local.partition}:scheduler:${var.aws_region}:${local.account_id}"
    # of every role here; the bootstrap makes it
    boundary         = "arn:${local.partition}:iam::${local.account_id}:policy/${local.name}-boundary"
    keys             = "arn:${local.partition}:kms:${var.aws_region}:${local.account_id}:key/*"
    log_group_prefix = "arn:${local.partition}:logs:${var.aws_region}:${local.account_id}:log-group"
    function = { for key, name in local.function_names : key =>
      "arn:${local.partition}:lambda:${var.aws_region}:${local.account_id}:function:${name}"
    }
    # Secrets Manager puts six characters of its own behind the name
    secret = "arn:${local.partition}:secretsmanager:${var.aws_region}:${local.account_id}:secret:${local.secret_name}-??????"
  }

  # What lies under a prefix of the lake.
  objects = { for prefix in [
    "alerts", "athena-results", "aws/lambda", "checkpoints", "curated", "dagster-logs", "failed", "marts", "quarantine", "raw", "redrive",
    "reference",
  ] : prefix => "${local.arn.bucket}/${prefix}/*" }

  # What every process of the pipeline finds in its environment: the settings of stock_pipeline/settings.py.
  # Lambda sets AWS_REGION by itself; DUCKDB_PATH belongs to a laptop. A test compares the names.
  settings = merge(
    {
      PROJECT_NAME           = var.project_name
      ENVIRONMENT            = var.environment
      STREAM_NAME            = var.stream_name
      STATE_TABLE_NAME       = var.state_table_name
      BUCKET_NAME            = var.bucket_name
      DATABASE_NAME          = var.database_name
      DEAD_LETTER_QUEUE_URL  = "https://sqs.${var.aws_region}.${local.dns_suffix}/${local.account_id}/${local.queue_name}"
      STREAM_ENCODING        = var.stream_encoding
      PARTITION_BUCKETS      = tostring(var.partition_buckets)
      MOVING_AVERAGE_WINDOWS = join(",", var.moving_average_windows)
      STATE_TTL_DAYS         = tostring(var.state_ttl_days)
      PROVIDER               = var.price_provider
      FEED                   = var.feed
      SYMBOLS                = join(",", var.symbols)
      POLL_INTERVAL_SECONDS  = tostring(var.poll_interval_seconds)
      LOOK_BACK_SECONDS      = tostring(var.look_back_seconds)
      PROVIDER_SECRET_NAME   = local.secret_name
      ATHENA_WORKGROUP       = local.workgroup_name
      DBT_TARGET             = "athena"
      ALERT_TOPIC_ARN        = local.arn.topic

      ATHENA_COMPACTION_MEGABYTES = tostring(var.athena_compaction_megabytes)
      COMPACT_AFTER_SHARE         = tostring(var.compact_after_share)
      FIRST_SESSION               = var.first_session
      UNPLANNED_DAYS              = join(",", [for day, hours in var.unplanned_days : "${day}=${hours}"])
      FUTURE_TOLERANCE_SECONDS    = tostring(var.future_tolerance_seconds)
    },
    var.provider_url == null ? {} : { PROVIDER_URL = var.provider_url },
  )
}
