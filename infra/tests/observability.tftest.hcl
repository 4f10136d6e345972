# Alarms, topic and dashboard.
variables {
  packages_file = "tests/packages.json"
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
        "iterator-age", "stream-lag", "stream-throttles", "dead-letter-depth", "dead-letter-age", "expired-records", "dropped-invocations",
        "freshness", "producer-missing", "rejected-ratio", "table-throttles",
        "producer-refused", "producer-unfinished", "kept-trades", "processor-unfinished", "destination-failures",
        "parked-messages", "redrive-interrupted",
      ],
    ))
    error_message = "Every part has its alarms."
  }
  assert {
    condition     = module.observability.alarms["processor-duration"].threshold == 48000
    error_message = "80 % of the timeout is an alarm."
  }
  assert {
    condition     = module.observability.alarms["dead-letter-depth"].threshold == 0
    error_message = "Any dead letter is an alarm."
  }
  assert {
    condition     = module.observability.alarms["freshness"].treat_missing_data == "breaching"
    error_message = "No data at all means not fresh."
  }
  assert {
    condition     = module.observability.alarms["producer-missing"].treat_missing_data == "breaching"
    error_message = "A producer that does not run reports nothing."
  }
  assert {
    condition     = alltrue([for name, alarm in module.observability.alarms : contains(["freshness", "producer-missing"], name) || alarm.treat_missing_data == "notBreaching"])
    error_message = "Elsewhere nothing reported is nothing wrong."
  }
}

run "topic" {
  command = plan

  assert {
    condition     = toset(module.observability.topic_policy.Statement[0].Principal.Service) == toset(["cloudwatch.amazonaws.com", "budgets.amazonaws.com"])
    error_message = "Alarms and the budget may publish."
  }
  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(module.observability.dashboard.dashboard_body).widgets : [
        for metric in widget.properties.metrics : contains([4, 6], try(length(metric), 0))
      ]
    ]))
    error_message = "Each line of the dashboard is a namespace, a metric and its dimensions."
  }
}
