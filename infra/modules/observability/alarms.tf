# What every alarm looks at. CloudWatch's clock is UTC: the hours below lie inside New York's, summer and winter.
locals {
  function_alarms = merge([
    for key, function in var.functions : {
      "${key}-errors" = {
        description = "The ${key} function failed."
        namespace   = "AWS/Lambda"
        metric      = "Errors"
        dimensions  = { FunctionName = function.name }
        statistic   = "Sum"
        period      = 300
        periods     = 1
        threshold   = 0
      }
      "${key}-throttles" = {
        description = "The ${key} function was not allowed to run as often as it was called."
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
        dimensions  = { FunctionName = function.name }
        statistic   = "Sum"
        period      = 300
        periods     = 1
        threshold   = 0
      }
      "${key}-duration" = {
        description = "The ${key} function comes near its timeout of ${function.timeout_seconds} s."
        namespace   = "AWS/Lambda"
        metric      = "Duration"
        dimensions  = { FunctionName = function.name }
        statistic   = "p99"
        period      = 300
        periods     = 3
        threshold   = function.timeout_seconds * 1000 * function.duration_alarm_share
      }
    }
  ]...)

  service_alarms = {
    iterator-age = {
      description = "The processor is more than a minute behind the stream."
      namespace   = "AWS/Lambda"
      metric      = "IteratorAge"
      dimensions  = { FunctionName = var.functions["processor"].name }
      statistic   = "Maximum"
      period      = 60
      periods     = 3
      threshold   = 60000
    }
    stream-throttles = {
      description = "The stream refused records: it needs more shards."
      namespace   = "AWS/Kinesis"
      metric      = "WriteProvisionedThroughputExceeded"
      dimensions  = { StreamName = var.stream_name }
      statistic   = "Sum"
      period      = 300
      periods     = 3
      threshold   = 0
    }
    dead-letter-depth = {
      description = "Something is in the dead-letter queue."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = var.queue_name }
      statistic   = "Maximum"
      period      = 300
      periods     = 1
      threshold   = 0
    }
    dead-letter-age = {
      description = "Something has been in the dead-letter queue for a week; after two it is gone."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = var.queue_name }
      statistic   = "Maximum"
      period      = 300
      periods     = 1
      threshold   = 7 * 24 * 60 * 60
    }
    # a day, which no redrive is further from the next than: or it would fire and end with every look at the message
    expired-records = {
      description = "Records of a failed batch left the stream before they were redriven."
      namespace   = "StockPipeline"
      metric      = "RedrivenMessages"
      dimensions  = { Service = "redrive", Environment = var.environment, Outcome = "expired" }
      statistic   = "Sum"
      period      = 24 * 60 * 60
      periods     = 1
      threshold   = 0
    }
    dropped-invocations = {
      description = "The scheduler gave up invoking a function."
      namespace   = "AWS/Scheduler"
      metric      = "InvocationDroppedCount"
      dimensions  = { ScheduleGroup = var.schedule_group }
      statistic   = "Sum"
      period      = 300
      periods     = 1
      threshold   = 0
    }
  }

  # what the functions report of themselves: METRICS of stock_pipeline/metrics.py; a test compares the names
  processed = {
    namespace  = "StockPipeline"
    dimensions = { Service = "processor", Environment = var.environment }
  }
  rejection_reasons = ["not_json", "schema", "value"]
  rejected          = join(" + ", [for reason in local.rejection_reasons : "FILL(${reason}, 0)"])

  incoming = {
    namespace  = "AWS/Kinesis"
    metric     = "IncomingRecords"
    dimensions = { StreamName = var.stream_name }
  }

  expression_alarms = {
    # 15:00 to 20:00 UTC is inside the regular session all year; on holidays it fires, see docs/deploy.md
    freshness = {
      description = "No trades have come into the stream for 15 minutes of a session."
      expression  = "IF(DAY(records) <= 5 AND HOUR(records) >= 15 AND HOUR(records) < 20, FILL(records, 0), 1)"
      metrics     = { records = local.incoming }
      comparison  = "LessThanThreshold"
      threshold   = 1
      periods     = 3
      missing     = "breaching"
    }
    # 09:00 to 24:00 UTC is inside the schedule's hours all year
    producer-missing = {
      description = "The producer has not been started for ten minutes."
      expression  = "IF(DAY(runs) <= 5 AND HOUR(runs) >= 9, FILL(runs, 0), 1)"
      metrics = {
        runs = {
          namespace  = "AWS/Lambda"
          metric     = "Invocations"
          dimensions = { FunctionName = var.functions["producer"].name }
        }
      }
      comparison = "LessThanThreshold"
      threshold  = 1
      periods    = 2
      missing    = "breaching"
    }
    rejected-ratio = {
      description = "More than ${var.rejected_percent} % of what came into the stream was no trade."
      expression  = "100 * (${local.rejected}) / (${local.rejected} + FILL(trades, 0) + 0.001)"
      metrics = merge(
        { trades = merge(local.processed, { metric = "ReceivedTrades" }) },
        { for reason in local.rejection_reasons : reason => merge(local.processed, {
          metric     = "RejectedRecords"
          dimensions = merge(local.processed.dimensions, { Reason = reason })
        }) },
      )
      comparison = "GreaterThanThreshold"
      threshold  = var.rejected_percent
      periods    = 1
      missing    = "notBreaching"
    }
    table-throttles = {
      description = "DynamoDB refused reads or writes of the realtime state."
      expression  = "FILL(reads, 0) + FILL(writes, 0)"
      metrics = {
        for id, metric in { reads = "ReadThrottleEvents", writes = "WriteThrottleEvents" } : id => {
          namespace               = "AWS/DynamoDB"
          metric                  = metric
          dimensions              = { TableName = var.table_name }
        }
      }
      comparison = "GreaterThanThreshold"
      threshold  = 0
      periods    = 1
      missing    = "notBreaching"
    }
  }
}
