# What every alarm looks at. The producer says when the market is open: CloudWatch knows no holidays.
resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = { for name, alarm in local.alarms : name => merge(local.usual_alarm, alarm) }
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.urgent ? each.value.description : "Not urgent: ${each.value.description}"
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
  ok_actions          = each.value.urgent ? [aws_sns_topic.this.arn] : []

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
        stat        = try(metric_query.value.statistic, "Sum")
        period      = each.value.period
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
    urgent     = true
  }

  # Who brings trades: the scheduled function, or the websocket producer in its place.
  producer = {
    namespace  = "StockPipeline"
    dimensions = { Service = var.producer == "stream" ? "stream" : "producer", Environment = var.environment }
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

  alarms = merge(local.function_alarms, local.producer_alarms, local.dagster_alarms, {
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
    # Half of what the mapping allows (infra/event_source_mapping.json), which is within dev's retention.
    stream-expiry = {
      description = "The processor is twelve hours behind. After 23 Lambda gives records up; after the stream's retention they are gone."
      namespace   = "AWS/Lambda"
      metric      = "IteratorAge"
      dimensions  = { FunctionName = var.functions["processor"].name }
      statistic   = "Maximum"
      threshold   = 12 * 60 * 60 * 1000
    }
    processor-silent = {
      description = "For 15 minutes records came into the stream and the processor was not called: its mapping is off, or may not read."
      expression  = "IF(FILL(records, 0) > 0 AND FILL(runs, 0) < 1, 1, 0)"
      metrics = {
        records = { namespace = "AWS/Kinesis", metric = "IncomingRecords", dimensions = { StreamName = var.stream_name } }
        runs    = { namespace = "AWS/Lambda", metric = "Invocations", dimensions = { FunctionName = var.functions["processor"].name } }
      }
      periods = 3
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
    # Each new failure tells, whatever lies in the queue already.
    dead-letters = {
      description = "New messages came into the dead-letter queue."
      namespace   = "AWS/SQS"
      metric      = "NumberOfMessagesSent"
      dimensions  = { QueueName = var.queue_name }
    }
    dead-letter-depth = {
      description = "For a day the dead-letter queue has not been empty."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = var.queue_name }
      statistic   = "Maximum"
      period      = 6 * 60 * 60
      periods     = 4
      urgent      = false
    }
    # What redrive saw: SQS's own figure leaves out messages that were received three times. Between two redrives
    # nothing changes.
    dead-letter-age = {
      description = "Something has been in the dead-letter queue for a week; after two it is gone."
      namespace   = "StockPipeline"
      metric      = "OldestDeadLetterSeconds"
      dimensions  = { Service = "redrive", Environment = var.environment }
      statistic   = "Maximum"
      threshold   = 7 * 24 * 60 * 60
      missing     = "ignore"
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

    # Published and redriven = in the lake, repeated or rejected. What a retry wrote twice hides as many.
    lost-trades = {
      description = "For two hours more than 2 % of the trades that went into the stream, and more than a hundred, have not come out."
      expression  = "0.98 * FILL(published, 0) + FILL(redriven, 0) - FILL(lake, 0) - FILL(repeats, 0) - (${local.rejected})"
      metrics = merge(
        {
          published = merge(local.producer, { metric = "PublishedTrades" })
          redriven = {
            namespace  = "StockPipeline"
            metric     = "RedrivenLines"
            dimensions = { Service = "redrive", Environment = var.environment }
          }
          lake    = merge(local.processed, { metric = "LakeTrades" })
          repeats = merge(local.processed, { metric = "DuplicateTrades" })
        },
        local.rejected_metrics,
      )
      period    = 60 * 60
      periods   = 2
      threshold = 100
    }
    rejected-ratio = {
      description = "More than ${var.rejected_percent} % of what came into the stream was no trade."
      expression  = "100 * (${local.rejected}) / (${local.rejected} + FILL(trades, 0) + 0.001)"
      metrics = merge(
        { trades = merge(local.processed, { metric = "ReceivedTrades" }) },
        local.rejected_metrics,
      )
      threshold = var.rejected_percent
    }
    table-throttles = {
      description = "For 15 minutes DynamoDB has refused reads or writes of the realtime state."
      periods     = 3
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
  rejected_metrics = {
    for reason in local.rejection_reasons : reason => merge(local.processed, {
      metric     = "RejectedRecords"
      dimensions = merge(local.processed.dimensions, { Reason = reason })
    })
  }
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
