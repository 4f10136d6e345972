# Alarms, topic and dashboard.
variables {
  packages_file = "tests/packages.json"
  alert_email   = "alarms@example.com"
}

mock_provider "aws" {
  source = "./tests/aws"
}

run "alarms" {
  command = plan

  assert {
    condition = toset(keys(module.observability.alarms)) == toset(concat(
      flatten([for key in ["producer", "processor", "redrive"] : [for kind in ["errors", "throttles", "duration"] : "${key}-${kind}"]]),
      [
        "iterator-age", "stream-expiry", "stream-lag", "stream-throttles", "dead-letters", "dead-letter-depth", "dead-letter-age",
        "expired-records", "dropped-invocations", "freshness", "trades-late", "producer-missing", "rejected-ratio", "table-throttles",
        "producer-refused", "producer-unfinished", "kept-trades", "processor-unfinished", "processor-silent", "destination-failures",
        "lost-trades", "parked-messages", "redrive-interrupted",
      ],
      var.dagster_enabled ? [
        "code-stopped", "webserver-stopped", "daemon-stopped", "dagster-silent", "switched-off", "session-overdue", "bars-overdue",
        "unexplained-differences", "database-storage", "database-credits", "database-connections",
      ] : [],
    ))
    error_message = "Every part has its alarms."
  }
  assert {
    condition     = module.observability.alarms["processor-duration"].threshold == 48000
    error_message = "80 % of the timeout is an alarm."
  }
  assert {
    condition     = module.observability.alarms["dead-letters"].threshold == 0
    error_message = "Any new dead letter is an alarm."
  }
  assert {
    condition     = module.observability.alarms["producer-missing"].treat_missing_data == "breaching"
    error_message = "A producer that does not run reports nothing."
  }
  assert {
    condition = toset([for name, alarm in module.observability.alarms : name if alarm.treat_missing_data == "breaching"]) == toset(concat(
      ["producer-missing"],
      var.dagster_enabled ? ["code-stopped", "webserver-stopped", "daemon-stopped", "dagster-silent", "session-overdue"] : [],
    ))
    error_message = "Elsewhere nothing reported is nothing wrong."
  }
}

run "no_producer_is_missed_where_none_runs" {
  command = plan

  variables {
    schedules_enabled = false
  }
  assert {
    condition     = length(setintersection(keys(module.observability.alarms), ["producer-missing", "freshness", "trades-late"])) == 0
    error_message = "Schedules that are off start nobody."
  }
}

run "the_websocket_producer_is_missed_too" {
  command = plan

  variables {
    schedules_enabled       = false
    dagster_enabled         = true
    stream_producer_command = ["stock-pipeline", "stream"]
  }
  assert {
    condition     = one([for query in module.observability.alarms["producer-missing"].metric_query : query.metric[0].metric_name if query.id == "runs"]) == "StreamLagSeconds"
    error_message = "It tells how far it is every ten seconds, day and night."
  }
  assert {
    condition = alltrue([for query in module.observability.alarms["freshness"].metric_query :
      length(query.metric) == 0 ? true : query.metric[0].dimensions["Service"] == "stream"
    ])
    error_message = "Its trades are the ones that count."
  }
}

run "alarms_that_reach_nobody_are_refused_where_data_is_protected" {
  command = plan

  variables {
    protected   = true
    alert_email = null
  }
  expect_failures = [var.alert_email]
}

run "topic" {
  command = plan

  assert {
    condition     = toset(module.observability.topic_policy.Statement[0].Principal.Service) == toset(["cloudwatch.amazonaws.com", "budgets.amazonaws.com"])
    error_message = "Alarms and the budget may publish."
  }
  assert {
    condition     = module.observability.budgets == 1
    error_message = "A month's cost is told."
  }
  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(module.observability.dashboard.dashboard_body).widgets : [
        for metric in widget.properties.metrics : contains([1, 4, 5, 6, 7, 8, 9], try(length(metric), 0))
      ]
    ]))
    error_message = "Each line of the dashboard is an expression, or a namespace, a metric and its dimensions."
  }
}
