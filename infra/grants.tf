# Who may do what: `may` names the grants of each role, `grants` says what each of them allows.
locals {
  # redrive runs in Dagster too
  redriving = [
    "take_dead_letters", "read_what_was_kept", "read_batches_again", "put_records", "park_and_keep_books",
  ]

  producing = [
    "use_key", "list_bucket", "read_key_of_the_price_api", "put_records", "keep_checkpoints", "keep_what_the_stream_refused",
    "send_dead_letters",
  ]

  may = {
    producer = concat(["write_traces"], local.producing)
    processor = [
      "use_key", "write_traces", "list_bucket", "read_stream", "write_trades", "write_failed_batches",
      "read_and_write_state", "send_dead_letters",
    ]
    redrive = concat(["use_key", "write_traces", "list_bucket"], local.redriving)
    # an encrypted schedule is read with the role that it invokes with
    scheduler = ["read_with_key"]

    # Dagster's tasks: the websocket producer, webserver and daemon, and what does the work
    produce = local.producing
    control = ["read_with_key", "read_logs_of_runs"]
    work = concat([
      "use_key", "list_and_locate_bucket", "read_the_lake", "write_curated_trades_and_models", "expire_compacted_raw_trades",
      "read_key_of_the_price_api", "log_corporate_actions", "add_raw_trades_of_the_past", "move_unreadable_raw_trades", "never_rewrite_raw_trades", "never_delete_versions_of_raw_trades", "publish_partitions_and_models", "query", "compare_with_the_realtime_table", "watch_the_queue",
      "write_logs_of_runs", "publish_to_the_topic", "never_drop_what_terraform_made",
    ], local.redriving)

    # the live page's server
    page = [
      "use_key", "list_and_locate_bucket", "read_prices", "read_what_is_published", "keep_answers", "read_catalog", "ask", "read_states",
      "watch_the_queue", "watch_the_stream", "read_metrics_and_alarms", "keep_price_alerts", "publish_to_the_topic",
    ]

    # people and services of yours that only read: the output `readers_policy`
    readers = ["use_key", "list_and_locate_bucket", "read_prices", "keep_answers", "read_catalog", "list_databases", "query", "read_latest"]
  }

  # As a policy takes them: a Sid from the grant's name, and Allow unless it says otherwise.
  statements = { for role, names in local.may : role => [
    for name in names : merge(
      { Sid = replace(title(replace(name, "_", " ")), " ", ""), Effect = "Allow" },
      local.grants[name],
    ) if !contains(["use_key", "read_with_key"], name) || length(local.key_aliases) > 0
  ] }

  grants = {
    # The customer managed key, where there is one. It is named by its alias, which a plan knows.
    use_key = {
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = [local.arn.keys]
      Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = local.key_aliases } }
    }

    read_with_key = {
      Action    = ["kms:Decrypt"]
      Resource  = [local.arn.keys]
      Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = local.key_aliases } }
    }

    # X-Ray has no resources that a policy could name.
    write_traces = { Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = "*" }

    # Without it S3 answers a missing object with 403 instead of 404.
    list_bucket = { Action = ["s3:ListBucket"], Resource = [local.arn.bucket] }
    list_and_locate_bucket = {
      Sid      = "ListBucket"
      Action   = ["s3:ListBucket", "s3:GetBucketLocation"]
      Resource = [local.arn.bucket]
    }

    read_key_of_the_price_api    = { Action = ["secretsmanager:GetSecretValue"], Resource = [local.arn.secret] }
    put_records                  = { Action = ["kinesis:PutRecords"], Resource = [local.arn.stream] }
    keep_checkpoints             = { Action = ["s3:GetObject", "s3:PutObject"], Resource = [local.objects.checkpoints] }
    keep_what_the_stream_refused = { Action = ["s3:PutObject"], Resource = [local.objects.failed, local.objects.quarantine] }
    send_dead_letters            = { Action = ["sqs:SendMessage"], Resource = [local.arn.queue] }

    read_stream = {
      Action = [
        "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator",
        "kinesis:ListShards",
      ]
      Resource = [local.arn.stream]
    }
    write_trades = { Action = ["s3:PutObject"], Resource = [local.objects.raw, local.objects.quarantine] }
    # Lambda writes the batches it gave up with the function's own role.
    write_failed_batches = { Action = ["s3:PutObject"], Resource = [local.objects["aws/lambda"]] }
    read_and_write_state = { Action = ["dynamodb:BatchGetItem", "dynamodb:PutItem"], Resource = [local.arn.table] }

    take_dead_letters = {
      Action = [
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:SendMessage",
      ]
      Resource = [local.arn.queue]
    }
    read_what_was_kept = {
      Action   = ["s3:GetObject"]
      Resource = [local.objects.failed, local.objects["aws/lambda"], local.objects.quarantine, local.objects.redrive]
    }
    read_batches_again = {
      Action   = ["kinesis:GetRecords", "kinesis:GetShardIterator"]
      Resource = [local.arn.stream]
    }
    park_and_keep_books = { Action = ["s3:PutObject"], Resource = [local.objects.quarantine, local.objects.redrive] }

    # and, for redrive, what was kept
    read_the_lake = {
      Action   = ["s3:GetObject"]
      Resource = [for zone in ["athena-results", "checkpoints", "curated", "marts", "raw", "reference"] : local.objects[zone]]
    }
    write_curated_trades_and_models = {
      Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      Resource = [local.objects.curated, local.objects.marts, local.objects["athena-results"]]
    }
    # A file is written once, under its time and content.
    log_corporate_actions = { Action = ["s3:PutObject"], Resource = [local.objects.reference] }
    # The lifecycle deletes what has the tag.
    expire_compacted_raw_trades = {
      Action   = ["s3:PutObjectTagging"]
      Resource = [local.objects.raw]
      Condition = {
        "ForAllValues:StringEquals" = { "s3:RequestObjectTagKeys" = ["compacted"] }
        StringEquals                = { "s3:RequestObjectTag/compacted" = "true" }
      }
    }
    # To the quarantine. S3 knows no condition on the tags of what is deleted; the bucket keeps deleted objects for a while.
    move_unreadable_raw_trades = { Action = ["s3:DeleteObject"], Resource = [local.objects.raw] }
    add_raw_trades_of_the_past = {
      Action    = ["s3:PutObject"]
      Resource  = [local.objects.raw]
      Condition = { Null = { "s3:if-none-match" = "false" } }
    }
    # Whatever else is allowed one day: raw trades are what everything can be made from again.
    never_rewrite_raw_trades = {
      Effect    = "Deny"
      Action    = ["s3:PutObject"]
      Resource  = [local.objects.raw]
      Condition = { Null = { "s3:if-none-match" = "true" } }
    }
    never_delete_versions_of_raw_trades = {
      Effect   = "Deny"
      Action   = ["s3:DeleteObjectVersion"]
      Resource = [local.objects.raw]
    }
    publish_partitions_and_models = {
      Action = [
        "glue:GetDatabase", "glue:GetDatabases", "glue:GetTable", "glue:GetTables", "glue:GetTableVersions",
        "glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition", "glue:CreatePartition",
        "glue:UpdatePartition", "glue:BatchCreatePartition", "glue:BatchDeletePartition", "glue:CreateTable", "glue:UpdateTable",
        "glue:DeleteTable", "glue:DeleteTableVersion",
      ]
      Resource = [for part in ["catalog", "database/${var.database_name}", "table/${var.database_name}/*"] :
        "${local.arn.glue}:${part}"
      ]
    }
    # Catalog tables that a plan would make again, empty of partitions.
    never_drop_what_terraform_made = {
      Effect = "Deny"
      Action = ["glue:DeleteTable"]
      Resource = [for table in sort(keys(module.catalog.tables)) :
        "${local.arn.glue}:table/${var.database_name}/${table}"
      ]
    }
    ask = {
      Action   = ["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"]
      Resource = [local.arn.workgroup]
    }
    query = {
      Action = [
        "athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults",
        "athena:GetWorkGroup",
      ]
      Resource = [local.arn.workgroup]
    }
    read_prices = {
      Action   = ["s3:GetObject"]
      Resource = [for zone in ["curated", "marts", "raw", "reference"] : local.objects[zone]]
    }
    # Athena writes them with the rights of who asks.
    keep_answers = {
      Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      Resource = [local.objects["athena-results"]]
    }
    read_catalog = {
      Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition"]
      Resource = [for part in ["catalog", "database/${var.database_name}", "table/${var.database_name}/*"] :
        "${local.arn.glue}:${part}"
      ]
    }
    list_databases = {
      Action   = ["glue:GetDatabases"]
      Resource = [for part in ["catalog", "database/${var.database_name}"] : "${local.arn.glue}:${part}"]
    }
    read_states                     = { Action = ["dynamodb:Scan", "dynamodb:BatchGetItem"], Resource = [local.arn.table] }
    read_latest                     = { Action = ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:BatchGetItem"], Resource = [local.arn.table] }
    compare_with_the_realtime_table = { Action = ["dynamodb:BatchGetItem", "dynamodb:Scan"], Resource = [local.arn.table] }
    read_what_is_published          = { Action = ["s3:GetObject"], Resource = [for zone in ["checkpoints", "quarantine"] : local.objects[zone]] }
    keep_price_alerts               = { Action = ["s3:GetObject", "s3:PutObject"], Resource = [local.objects.alerts] }
    watch_the_stream                = { Action = ["kinesis:DescribeStreamSummary"], Resource = [local.arn.stream] }
    # CloudWatch has no resources that a policy could name.
    read_metrics_and_alarms = { Action = ["cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms"], Resource = "*" }
    watch_the_queue         = { Action = ["sqs:GetQueueAttributes"], Resource = [local.arn.queue] }
    # The UI shows what runs printed.
    write_logs_of_runs = {
      Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = [local.objects["dagster-logs"]]
    }
    read_logs_of_runs    = { Action = ["s3:GetObject"], Resource = [local.objects["dagster-logs"]] }
    publish_to_the_topic = { Action = ["sns:Publish"], Resource = [local.arn.topic] }
  }
}
