# What every alarm looks at. CloudWatch's clock is UTC: the hours below lie inside New York's, summer and winter.
resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = { for name, alarm in local.alarms : name => merge(local.usual_alarm, alarm) }
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.percentile == null && each.value.metric != null ? each.value.statistic : null
  extended_statistic  = each.value.percentile
  period              = each.value.metric == null ? null : each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]

  dynamic "metric_query" {
    for_each = each.value.expression == null ? [] : [each.value.expression]
    content {
      id          = "result"
      expression  = metric_query.value
      label       = each.key
      return_data = true
    }
  }

  dynamic "metric_query" {
    for_each = each.value.metrics
    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

locals {
  # What an alarm is where it says nothing else. It looks at one metric, or at an expression of several.
  usual_alarm = {
    namespace  = null
    metric     = null
    dimensions = null
    statistic  = "Sum"
    percentile = null
    expression = null
    metrics    = {}
    period     = 300
    periods    = 1
    threshold  = 0
    comparison = "GreaterThanThreshold"
    missing    = "notBreaching"
  }

  function_alarms = merge([
    for key, function in var.functions : {
      for name, alarm in {
        errors = {
          description = "The ${key} function failed."
          metric      = "Errors"
        }
        throttles = {
          description = "The ${key} function was not allowed to run as often as it was called."
          metric      = "Throttles"
        }
        duration = {
          description = "The ${key} function comes near its timeout of ${function.timeout_seconds} s."
          metric      = "Duration"
          percentile  = "p99"
          periods     = 3
          threshold   = function.timeout_seconds * 1000 * function.duration_alarm_share
        }
      } : "${key}-${name}" => merge(alarm, { namespace = "AWS/Lambda", dimensions = { FunctionName = function.name } })
    }
  ]...)

  alarms = merge(local.function_alarms, {
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
    # Only where the websocket producer runs. A gap that is read again after the overlap holds it at five minutes.
    stream-lag = {
      description = "The websocket producer has not known for ten minutes what of the last 15 minutes it misses."
      namespace   = "StockPipeline"
      metric      = "StreamLagSeconds"
      dimensions  = { Service = "stream", Environment = var.environment }
      statistic   = "Minimum"
      periods     = 2
      threshold   = 15 * 60
    }
    stream-throttles = {
      description = "The stream refused records: it needs more shards."
      namespace   = "AWS/Kinesis"
      metric      = "WriteProvisionedThroughputExceeded"
      dimensions  = { StreamName = var.stream_name }
      periods     = 3
    }
    dead-letter-depth = {
      description = "Something is in the dead-letter queue."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = var.queue_name }
      statistic   = "Maximum"
    }
    dead-letter-age = {
      description = "Something has been in the dead-letter queue for a week; after two it is gone."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = var.queue_name }
      statistic   = "Maximum"
      threshold   = 7 * 24 * 60 * 60
    }
    destination-failures = {
      description = "Lambda could not keep a batch that it gave up: its records are in the stream only."
      namespace   = "AWS/Lambda"
      metric      = "DestinationDeliveryFailures"
      dimensions  = { FunctionName = var.functions["processor"].name }
    }

    # What functions answer, because an answer is no error to Lambda.
    producer-refused = {
      description = "The producer's run ended with what somebody must change: a key, a secret, a checkpoint."
      namespace   = "StockPipeline"
      metric      = "RefusedRuns"
      dimensions  = { Service = "producer", Environment = var.environment }
    }
    producer-unfinished = {
      description = "For 15 minutes no run of the producer has ended well."
      namespace   = "StockPipeline"
      metric      = "UnfinishedRuns"
      dimensions  = { Service = "producer", Environment = var.environment }
      statistic   = "Minimum"
      periods     = 3
    }
    kept-trades = {
      description = "The stream refused trades, which wait in failed/ for redrive."
      expression  = "FILL(producer, 0) + FILL(stream, 0)"
      metrics = {
        for service in ["producer", "stream"] : service => {
          namespace  = "StockPipeline"
          metric     = "KeptTrades"
          dimensions = { Service = service, Environment = var.environment }
        }
      }
    }
    processor-unfinished = {
      description = "For 15 minutes the processor has answered that it could not finish: something is away."
      namespace   = "StockPipeline"
      metric      = "UnfinishedBatches"
      dimensions  = local.processed.dimensions
      periods     = 3
    }
    parked-messages = {
      description = "Redrive gave messages up: they lie under quarantine/parked/."
      namespace   = "StockPipeline"
      metric      = "RedrivenMessages"
      dimensions  = { Service = "redrive", Environment = var.environment, Outcome = "parked" }
      period      = 24 * 60 * 60
    }
    redrive-interrupted = {
      description = "A redrive ended before the queue was empty, or lost its counts."
      namespace   = "StockPipeline"
      metric      = "InterruptedRedrives"
      dimensions  = { Service = "redrive", Environment = var.environment }
    }

    # A day, because no redrive is further from the next. With less it would fire and end at every look at the message.
    expired-records = {
      description = "Records of a failed batch left the stream before they were redriven."
      namespace   = "StockPipeline"
      metric      = "RedrivenMessages"
      dimensions  = { Service = "redrive", Environment = var.environment, Outcome = "expired" }
      period      = 24 * 60 * 60
    }
    dropped-invocations = {
      description = "The scheduler gave up invoking a function."
      namespace   = "AWS/Scheduler"
      metric      = "InvocationDroppedCount"
      dimensions  = { ScheduleGroup = var.schedule_group }
    }

    # 15:00 to 20:00 UTC is inside the regular session all year; on holidays it fires, see docs/deploy.md
    freshness = {
      description = "No trades have come into the stream for 15 minutes of a session."
      expression  = "IF(DAY(records) <= 5 AND HOUR(records) >= 15 AND HOUR(records) < 20, FILL(records, 0), 1)"
      metrics = {
        records = { namespace = "AWS/Kinesis", metric = "IncomingRecords", dimensions = { StreamName = var.stream_name } }
      }
      comparison = "LessThanThreshold"
      threshold  = 1
      periods    = 3
      missing    = "breaching"
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
      threshold = var.rejected_percent
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
    }
  })

  # What the functions report of themselves: METRICS of stock_pipeline/metrics.py. A test compares the names.
  processed = {
    namespace  = "StockPipeline"
    dimensions = { Service = "processor", Environment = var.environment }
  }
  rejection_reasons = ["not_json", "schema", "value", "future"]
  rejected          = join(" + ", [for reason in local.rejection_reasons : "FILL(${reason}, 0)"])
}

moved {
  from = aws_cloudwatch_metric_alarm.metric
  to   = aws_cloudwatch_metric_alarm.this
}

moved {
  from = aws_cloudwatch_metric_alarm.expression["freshness"]
  to   = aws_cloudwatch_metric_alarm.this["freshness"]
}

moved {
  from = aws_cloudwatch_metric_alarm.expression["producer-missing"]
  to   = aws_cloudwatch_metric_alarm.this["producer-missing"]
}

moved {
  from = aws_cloudwatch_metric_alarm.expression["rejected-ratio"]
  to   = aws_cloudwatch_metric_alarm.this["rejected-ratio"]
}

moved {
  from = aws_cloudwatch_metric_alarm.expression["table-throttles"]
  to   = aws_cloudwatch_metric_alarm.this["table-throttles"]
}
