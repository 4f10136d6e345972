"""CloudWatch's evaluation of the planned alarms, on the metrics that functions print and on those that AWS measures.

Alarms are what Terraform plans. A period's metrics are the lines printed in it, or given as AWS's own.
"""

import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.metric_math import evaluate
from tests.support.plans import load_plan

NAMESPACE = "StockPipeline"
WEDNESDAY_NOON = 1_767_798_000.0
"""2026-01-07T15:00:00Z, in an open market: when `firing` takes its periods to begin."""

STATISTICS = {"Sum": sum, "Maximum": max, "Minimum": min, "SampleCount": len}
COMPARISONS = {"GreaterThanThreshold": float.__gt__, "LessThanThreshold": float.__lt__}

Alarm = Mapping[str, Any]
Name = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, metric, dimensions."""


@dataclass
class Samples:
    """Measurements with their time in UTC seconds."""

    values: dict[Name, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def printed(self, lines: Iterable[str], at: float | None = None) -> None:
        """Take the metrics of lines, at their own time or at another."""
        for line in map(json.loads, lines):
            for name, dimensions, value in _measured(line):
                when = line["_aws"]["Timestamp"] / 1000 if at is None else at
                insort(self.values[NAMESPACE, name, dimensions], (when, value))

    def measured(self, namespace: str, metric: str, dimensions: Mapping[str, str], at: float, value: float) -> None:
        """Take a measurement of AWS's own."""
        insort(self.values[namespace, metric, frozenset(dimensions.items())], (at, value))

    def statistic(self, metric: Mapping[str, Any], start: float, end: float) -> float | None:
        """Return a statistic of the metric in `start <= t < end`, or None without a measurement."""
        points = self.values.get(_name(metric), [])
        values = [value for _, value in points[bisect_left(points, (start,)) : bisect_left(points, (end,))]]
        if not values:
            return None
        statistic = metric.get("stat") or metric.get("statistic")
        return float(STATISTICS[statistic](values) if statistic else max(values))

    def knows(self, alarm: Alarm) -> bool:
        """Tell if there is a measurement that the alarm looks at."""
        return any(_name(metric) in self.values for metric in (queried(alarm) or {"": alarm}).values())


def _name(metric: Mapping[str, Any]) -> Name:
    return metric["namespace"], metric["metric_name"], frozenset((metric.get("dimensions") or {}).items())


def planned_alarms(environment: str) -> dict[str, Alarm]:
    """The alarms, by name without project and environment."""
    plan = load_plan(environment)
    prefix = f"{plan['settings']['PROJECT_NAME']}-{environment}-"
    planned = [each["values"] for each in plan["resources"] if each["type"] == "aws_cloudwatch_metric_alarm"]
    return {each["alarm_name"].removeprefix(prefix): each for each in planned}


def alarms(environment: str) -> dict[str, Alarm]:
    """The alarms on what functions and Dagster report of themselves, by name."""
    return {name: each for name, each in planned_alarms(environment).items() if _is_ours(each)}


def firing(periods: Sequence[Sequence[str]], environment: str = "dev") -> set[str]:
    """Names of our own alarms that fire after these periods of theirs. Each is the lines that were printed in it."""
    return {
        name
        for name, alarm in alarms(environment).items()
        if len(periods) >= alarm["evaluation_periods"] and fires(alarm, *_laid_out(alarm, periods))
    }


def _laid_out(alarm: Alarm, periods: Sequence[Sequence[str]]) -> tuple[Samples, float]:
    samples, seconds = Samples(), period_of(alarm)
    for number, lines in enumerate(periods):
        samples.printed(lines, WEDNESDAY_NOON + number * seconds)
    return samples, WEDNESDAY_NOON + len(periods) * seconds


def fires(alarm: Alarm, samples: Samples, now: float, fired: bool = False) -> bool:
    """Tell if the alarm is on at a moment. fired: whether it was, which missing data may leave as it is."""
    count, seconds, missing = alarm["evaluation_periods"], period_of(alarm), alarm["treat_missing_data"]
    assert alarm.get("datapoints_to_alarm") in (None, count)
    points = [
        value_of(alarm, samples, now - (place + 1) * seconds, now - place * seconds) for place in reversed(range(count))
    ]
    if missing == "ignore" and None in points:
        return fired
    assert missing in ("breaching", "notBreaching", "ignore")
    breaches = COMPARISONS[alarm["comparison_operator"]]
    return all(
        missing == "breaching" if point is None else breaches(point, float(alarm["threshold"])) for point in points
    )


def value_of(alarm: Alarm, samples: Samples, start: float, end: float) -> float | None:
    """Return what the alarm compares in one period."""
    if alarm.get("metric_name"):
        return samples.statistic(alarm, start, end)
    (expression,) = [query["expression"] for query in alarm["metric_query"] if query.get("expression")]
    values = {name: samples.statistic(metric, start, end) for name, metric in queried(alarm).items()}
    return evaluate(expression, values, start)


def period_of(alarm: Alarm) -> int:
    """Return the alarm's period in seconds."""
    periods = {int(alarm["period"])} if alarm.get("metric_name") else {m["period"] for m in queried(alarm).values()}
    (seconds,) = periods
    return int(seconds)


def queried(alarm: Alarm) -> dict[str, dict[str, Any]]:
    """Return the metrics of an alarm's expression, by their id."""
    return {query["id"]: metric for query in alarm.get("metric_query") or () for metric in query.get("metric") or ()}


def _is_ours(alarm: Alarm) -> bool:
    namespaces = [alarm.get("namespace"), *(metric["namespace"] for metric in queried(alarm).values())]
    return set(filter(None, namespaces)) == {NAMESPACE}


def _measured(document: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[tuple[str, str]], float]]:
    """What CloudWatch reads from a line in the embedded metric format."""
    for directive in document.get("_aws", {}).get("CloudWatchMetrics", ()):
        assert directive["Namespace"] == NAMESPACE
        for names in directive["Dimensions"]:
            dimensions = frozenset((name, str(document[name])) for name in names)
            for metric in directive["Metrics"]:
                yield metric["Name"], dimensions, float(document[metric["Name"]])
