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
          period  = 60
          metrics = widget.metrics
        }
      }
    ]
  })
}

locals {
  widgets = [
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
      title = "Trades: published, received, repeated"
      stat  = "Sum"
      metrics = [for line in [["PublishedTrades", "producer"], ["ReceivedTrades", "processor"], ["DuplicateTrades", "processor"]] :
        ["StockPipeline", line[0], "Service", line[1], "Environment", var.environment]
      ]
    },
    {
      title = "Trades: age when they are in the lake (s)"
      stat  = "Maximum"
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
  ]
}
