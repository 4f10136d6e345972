# The pipeline from left to right, on one page.
resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for place, widget in local.widgets : {
        type   = "metric"
        x      = (place % 3) * 8
        y      = floor(place / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          region  = var.aws_region
          stat    = widget.stat
          period  = try(widget.period, 60)
          metrics = widget.metrics
          # where an alarm begins
          annotations = { horizontal = [for alarm in try(widget.alarms, []) :
            { label = alarm, value = local.alarms[alarm].threshold } if can(local.alarms[alarm])
          ] }
        }
      }
    ]
  })
}

locals {
  # docs/slo.md explains them; a test compares
  objectives = concat(
    [{
      title  = "Objective: periods of an open market in which 99 % of a batch were in raw within 60 s (%)"
      stat   = "Minimum"
      period = 300
      metrics = [
        [{ expression = "due * 0 + 100 * SUM(good) / SUM(due)", label = "on time, at least 99", id = "share" }],
        [{ expression = "IF(open >= 1 AND FILL(lag, 9999) <= ${60 + var.feed_delay_seconds}, 1, 0)", id = "good", visible = false }],
        [{ expression = "IF(open >= 1, 1, 0)", id = "due", visible = false }],
        concat(["StockPipeline", "MarketOpen"], local.producer_line, [{ id = "open", visible = false }]),
        concat(["StockPipeline", "EventTimeLagP99"], local.processor_line, [{ id = "lag", stat = "p50", visible = false }]),
      ]
    }],
    [for widget in [
      {
        title  = "Objective: days on which every due session was published by 22:00 New York (%)"
        stat   = "Maximum"
        period = 86400
        metrics = [
          [{ expression = "stale * 0 + 100 * (1 - AVG(stale))", label = "published, at least 99.5", id = "share" }],
          concat(["StockPipeline", "StaleAssets"], local.dagster_line, ["Asset", "trades", { id = "stale", visible = false }]),
        ]
      },
      {
        title  = "Objective: differences that nobody can explain (none)"
        stat   = "Sum"
        period = 86400
        metrics = [
          [{ expression = "FILL(differences, 0)", label = "a day, 0", id = "found" }],
          concat(["StockPipeline", "UnexplainedDifferences"], local.dagster_line, [{ id = "differences", visible = false }]),
        ]
      },
      {
        title = "Lake: what is overdue"
        stat  = "Maximum"
        metrics = [for asset in ["trades", "daily_bars", "realtime_state"] :
          concat(["StockPipeline", "StaleAssets"], local.dagster_line, ["Asset", asset])
        ]
      },
      {
        title   = "Dagster: heartbeats, and what is switched off"
        stat    = "Sum"
        period  = 300
        metrics = [for metric in ["Heartbeats", "SwitchedOff"] : concat(["StockPipeline", metric], local.dagster_line)]
      },
      {
        title   = "Dagster: running tasks"
        stat    = "Maximum"
        metrics = [for service in try(var.dagster.services, []) : ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", try(var.dagster.cluster, ""), "ServiceName", service]]
        alarms  = ["daemon-stopped"]
      },
      {
        title   = "Dagster's database: free storage (bytes)"
        stat    = "Minimum"
        metrics = [["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", try(var.dagster.database, "")]]
        alarms  = ["database-storage"]
      },
      {
        title   = "Dagster's database: connections, CPU credits"
        stat    = "Maximum"
        metrics = [for metric in ["DatabaseConnections", "CPUCreditBalance"] : ["AWS/RDS", metric, "DBInstanceIdentifier", try(var.dagster.database, "")]]
        alarms  = ["database-connections", "database-credits"]
      },
    ] : widget if var.dagster != null],
  )

  producer_line  = ["Service", local.producer.dimensions.Service, "Environment", var.environment]
  processor_line = ["Service", "processor", "Environment", var.environment]
  dagster_line   = ["Service", "dagster", "Environment", var.environment]

  widgets = concat(local.objectives, [
    {
      title = "Loss accounting: published and redriven = in the lake + repeated + rejected"
      stat  = "Sum"
      metrics = concat(
        [
          concat(["StockPipeline", "PublishedTrades"], local.producer_line),
          ["StockPipeline", "RedrivenLines", "Service", "redrive", "Environment", var.environment],
          concat(["StockPipeline", "LakeTrades"], local.processor_line),
          concat(["StockPipeline", "DuplicateTrades"], local.processor_line),
          concat(["StockPipeline", "KeptTrades"], local.producer_line),
        ],
        [for reason in local.rejection_reasons : concat(["StockPipeline", "RejectedRecords"], local.processor_line, ["Reason", reason])],
      )
    },
    {
      title = "Stream: records and bytes in"
      stat  = "Sum"
      metrics = [for metric in ["IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"] :
        ["AWS/Kinesis", metric, "StreamName", var.stream_name]
      ]
    },
    {
      title   = "Processor: how far behind (ms)"
      stat    = "Maximum"
      metrics = [["AWS/Lambda", "IteratorAge", "FunctionName", var.functions["processor"].name]]
      alarms  = ["iterator-age", "stream-expiry"]
    },
    {
      title   = "Dead-letter queue: messages"
      stat    = "Maximum"
      metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name]]
    },
    {
      title = "Functions: duration p99 (ms)"
      stat  = "p99"
      metrics = [for function in var.functions :
        ["AWS/Lambda", "Duration", "FunctionName", function.name]
      ]
    },
    {
      title = "Functions: errors and throttles"
      stat  = "Sum"
      metrics = concat([for function in var.functions : [
        for metric in ["Errors", "Throttles"] : ["AWS/Lambda", metric, "FunctionName", function.name]
      ]]...)
    },
    {
      title = "Table: units and throttles"
      stat  = "Sum"
      metrics = [for metric in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "WriteThrottleEvents"] :
        ["AWS/DynamoDB", metric, "TableName", var.table_name]
      ]
    },
    {
      title  = "Trades: age when they are in the lake (s)"
      stat   = "Maximum"
      alarms = ["trades-late"]
      metrics = [for metric in ["EventTimeLagP50", "EventTimeLagP99"] :
        ["StockPipeline", metric, "Service", "processor", "Environment", var.environment]
      ]
    },
    {
      title = "Price API: calls and waiting (s)"
      stat  = "Sum"
      metrics = [for metric in ["ProviderRequests", "RateLimitWaitSeconds", "KeptTrades"] :
        ["StockPipeline", metric, "Service", "producer", "Environment", var.environment]
      ]
    },
  ])
}
