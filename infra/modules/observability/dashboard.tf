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
  ]
}
