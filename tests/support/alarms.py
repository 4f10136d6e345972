"""CloudWatch's evaluation of the planned alarms, on the metrics that functions print.

Alarms are what Terraform plans. A period's metrics are the lines printed in it. What only AWS measures is left out.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PLANS = Path(__file__).parents[1] / "data" / "terraform"
NAMESPACE = "StockPipeline"

STATISTICS = {"Sum": sum, "Maximum": max, "Minimum": min}
COMPARISONS = {"GreaterThanThreshold": float.__gt__, "LessThanThreshold": float.__lt__}

Metrics = Mapping[tuple[str, frozenset[tuple[str, str]]], list[float]]


def alarms(environment: str) -> dict[str, dict[str, Any]]:
    """The alarms on what functions report of themselves, by name."""
    plan = json.loads((PLANS / f"{environment}.json").read_text())
    prefix = f"{plan['settings']['PROJECT_NAME']}-{environment}-"
    planned = [each["values"] for each in plan["resources"] if each["type"] == "aws_cloudwatch_metric_alarm"]
    return {each["alarm_name"].removeprefix(prefix): each for each in planned if _is_ours(each)}


def firing(periods: Sequence[Sequence[str]], environment: str = "dev") -> set[str]:
    """Names of the alarms that fire after these periods. Each is the lines that functions printed in it."""
    metrics = [_metrics(lines) for lines in periods]
    return {name for name, alarm in alarms(environment).items() if _fires(alarm, metrics)}


def _is_ours(alarm: Mapping[str, Any]) -> bool:
    namespaces = [alarm.get("namespace"), *(metric["namespace"] for metric in _queried(alarm).values())]
    return set(filter(None, namespaces)) == {NAMESPACE}


def _fires(alarm: Mapping[str, Any], periods: Sequence[Metrics]) -> bool:
    count = alarm["evaluation_periods"]
    assert alarm["treat_missing_data"] == "notBreaching"
    assert alarm.get("datapoints_to_alarm") in (None, count)
    return len(periods) >= count and all(_breaches(alarm, metrics) for metrics in periods[-count:])


def _breaches(alarm: Mapping[str, Any], metrics: Metrics) -> bool:
    value = _value(alarm, metrics)
    breaches = COMPARISONS[alarm["comparison_operator"]]
    return value is not None and bool(breaches(float(value), float(alarm["threshold"])))


def _value(alarm: Mapping[str, Any], metrics: Metrics) -> float | None:
    if alarm.get("metric_name"):
        return _statistic(metrics, alarm["metric_name"], alarm["dimensions"], alarm["statistic"])
    (expression,) = [query["expression"] for query in alarm.get("metric_query") or () if query.get("expression")]
    values = {
        name: _statistic(metrics, metric["metric_name"], metric["dimensions"], metric["stat"])
        for name, metric in _queried(alarm).items()
    }
    filled = re.sub(r"FILL\((\w+), (\d+)\)", lambda call: str(_filled(values[call[1]], call[2])), expression)
    assert re.fullmatch(r"[0-9.+*/() e-]+", filled), f"{expression} is more than this evaluation knows"
    return float(eval(filled))


def _filled(value: float | None, instead: str) -> float:
    return float(instead) if value is None else float(value)


def _statistic(metrics: Metrics, name: str, dimensions: Mapping[str, str], statistic: str) -> float | None:
    values = metrics.get((name, frozenset(dimensions.items())), [])
    return STATISTICS[statistic](values) if values else None


def _queried(alarm: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {query["id"]: metric for query in alarm.get("metric_query") or () for metric in query.get("metric") or ()}


def _metrics(lines: Sequence[str]) -> Metrics:
    values: dict[tuple[str, frozenset[tuple[str, str]]], list[float]] = defaultdict(list)
    for name, dimensions, value in _measured(lines):
        values[name, dimensions].append(value)
    return values


def _measured(lines: Sequence[str]) -> Iterator[tuple[str, frozenset[tuple[str, str]], float]]:
    """What CloudWatch reads from lines in the embedded metric format."""
    for document in map(json.loads, lines):
        for directive in document.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert directive["Namespace"] == NAMESPACE
            for names in directive["Dimensions"]:
                dimensions = frozenset((name, str(document[name])) for name in names)
                for metric in directive["Metrics"]:
                    yield metric["Name"], dimensions, float(document[metric["Name"]])
