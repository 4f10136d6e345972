"""What CloudWatch knows of the pipeline: its alarms, and the processor's last hour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

NAMESPACE = "StockPipeline"
"""As `streaming.telemetry` writes it."""

WINDOW = timedelta(hours=1)
_PERIOD_SECONDS = 300


class ShownAlarm(NamedTuple):
    """state: OK, ALARM or INSUFFICIENT_DATA."""

    name: str
    state: str
    reason: str


@dataclass(frozen=True)
class CloudWatch:
    client: Any

    def alarms(self, topic_arn: str) -> list[ShownAlarm]:
        """Return the alarms that tell this topic, those that ring first."""
        pages = self.client.get_paginator("describe_alarms").paginate(ActionPrefix=topic_arn)
        alarms = [
            ShownAlarm(found["AlarmName"], found["StateValue"], found.get("StateReason", ""))
            for page in pages
            for found in page["MetricAlarms"]
        ]
        return sorted(alarms, key=lambda alarm: (alarm.state != "ALARM", alarm.name))

    def last_hour(
        self, service: str, environment: str, metrics: Mapping[str, tuple[str, str]], now: datetime
    ) -> dict[str, float] | None:
        """Return sums over the last hour by name; None if nothing was measured in it.

        metrics: by name, a metric and its statistic: Sum or SampleCount.
        """
        dimensions = [{"Name": "Service", "Value": service}, {"Name": "Environment", "Value": environment}]
        queries = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions},
                    "Period": _PERIOD_SECONDS,
                    "Stat": statistic,
                },
            }
            for name, (metric, statistic) in metrics.items()
        ]
        pages = self.client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=now - WINDOW, EndTime=now
        )
        found = dict.fromkeys(metrics, 0.0)
        is_measured = False
        for page in pages:
            for result in page["MetricDataResults"]:
                found[result["Id"]] += sum(result["Values"])
                is_measured |= bool(result["Values"])
        return found if is_measured else None
