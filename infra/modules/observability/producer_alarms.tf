# Silence of whoever brings trades. Where nobody does (schedules off, no websocket), nobody is missed.
locals {
  producer_alarms = { for name, alarm in {
    # MarketOpen comes with the same line as the trades: on holidays, half days and nights it is 0.
    freshness = {
      description = "For 15 minutes of an open market no trade has gone into the stream."
      expression  = "IF(open >= 1, published, 1)"
      metrics = {
        open      = merge(local.producer, { metric = "MarketOpen", statistic = "Minimum" })
        published = merge(local.producer, { metric = "PublishedTrades" })
      }
      comparison = "LessThanThreshold"
      threshold  = 1
      periods    = 3
    }
    trades-late = {
      description = "For 15 minutes of an open market every batch has been more than two minutes late${var.feed_delay_seconds == 0 ? "" : ", beyond the feed's delay"}."
      expression  = "IF(open >= 1, late, 0)"
      metrics = {
        open = merge(local.producer, { metric = "MarketOpen", statistic = "Minimum" })
        late = merge(local.processed, { metric = "EventTimeLagP50", statistic = "Minimum" })
      }
      threshold = var.feed_delay_seconds + 120
      periods   = 3
    }
    # 09:00 to 24:00 UTC is inside the schedule's hours all year, holidays too. The websocket producer never rests.
    producer-missing = {
      description = "The producer has given no sign of life for ten minutes."
      expression  = var.producer == "stream" ? "FILL(runs, 0)" : "IF(DAY(runs) <= 5 AND HOUR(runs) >= 9, FILL(runs, 0), 1)"
      metrics = {
        runs = var.producer == "stream" ? merge(local.producer, { metric = "StreamLagSeconds", statistic = "SampleCount" }) : {
          namespace  = "AWS/Lambda"
          metric     = "Invocations"
          dimensions = { FunctionName = var.functions["producer"].name }
          statistic  = "Sum"
        }
      }
      comparison = "LessThanThreshold"
      threshold  = 1
      periods    = 2
      missing    = "breaching"
    }
  } : name => alarm if var.producer != "none" }
}
