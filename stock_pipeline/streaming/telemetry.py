"""Logs and metrics as JSON lines, one an event.

CloudWatch reads a line's values as metrics (Amazon CloudWatch User Guide, "Specification: Embedded metric format").
Here belongs the form of a line. Each report names its own metrics, and `stock_pipeline.metrics` collects them.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NAMESPACE = "StockPipeline"


class Metric(NamedTuple):
    """A metric of CloudWatch. dimension: one beside Service and Environment, or None."""

    name: str
    unit: str
    dimension: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A line to write.

    fields: logged only. Values from outside belong here, never into names.
    values: measurements, all with the same dimension.
    dimension_value: empty if the metrics have no dimension.
    """

    level: str
    message: str
    fields: Mapping[str, Any]
    values: Mapping[Metric, float] = field(default_factory=dict)
    dimension_value: str = ""


@dataclass(frozen=True)
class Telemetry:
    """Writer of a service's lines.

    write: takes a line without its end.
    now_ns: nanoseconds since 1970 UTC.
    """

    service: str
    environment: str
    write: Callable[[str], None]
    now_ns: Callable[[], int]

    def log(self, level: str, message: str, **fields: Any) -> None:
        """Write a line without metrics."""
        self._write(LogEvent(level, message, fields))

    def record(self, events: Iterable[LogEvent]) -> None:
        """Write a line for each event."""
        for event in events:
            self._write(event)

    def _write(self, event: LogEvent) -> None:
        dimensions = {metric.dimension: event.dimension_value for metric in event.values if metric.dimension}
        document: dict[str, Any] = {
            "level": event.level,
            "message": event.message,
            "Service": self.service,
            "Environment": self.environment,
            **dimensions,
            **event.fields,
            **{metric.name: value for metric, value in event.values.items()},
        }
        if event.values:
            document["_aws"] = {
                "Timestamp": self.now_ns() // 10**6,
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["Service", "Environment", *dimensions]],
                        "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in event.values],
                    }
                ],
            }
        self.write(json.dumps(document, default=str))
