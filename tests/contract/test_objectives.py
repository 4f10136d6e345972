"""docs/slo.md has the objectives that the dashboard draws, from metrics that are printed."""

import json
import re
from pathlib import Path
from typing import Any

from stock_pipeline.metrics import METRICS
from tests.support.alarms import planned_alarms
from tests.support.metric_math import evaluate
from tests.support.plans import load_plan

PAGE = (Path(__file__).parents[2] / "docs" / "slo.md").read_text()


def objectives() -> list[dict[str, Any]]:
    plan = load_plan("prod")
    (body,) = [r["values"]["dashboard_body"] for r in plan["resources"] if r["type"] == "aws_cloudwatch_dashboard"]
    properties = [widget["properties"] for widget in json.loads(body)["widgets"]]
    return [each for each in properties if each["title"].startswith("Objective")]


def expressions() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for objective in objectives():
        for line in objective["metrics"]:
            if "expression" in line[0]:
                found.setdefault(line[0]["id"], set()).add(line[0]["expression"])
    return found


def test_the_page_has_the_expressions_of_the_dashboard() -> None:
    documented: dict[str, set[str]] = {}
    for name, expression in re.findall(r"^(\w+) += (.+)$", PAGE, re.MULTILINE):
        documented.setdefault(name, set()).add(expression)
    assert len(objectives()) == 3
    assert documented == expressions()


def test_every_objective_is_computed_from_metrics_that_are_printed() -> None:
    printed = {metric.name for metric in METRICS}
    used = {line[1] for objective in objectives() for line in objective["metrics"] if "expression" not in line[0]}
    assert used == {"MarketOpen", "EventTimeLagP99", "StaleAssets", "UnexplainedDifferences"}
    assert used <= printed
    assert used <= set(re.findall(r"`(\w+)`", PAGE))


def test_every_objective_names_alarms_that_exist() -> None:
    told = re.findall(r"^Told of by (.+)\.$", PAGE, re.MULTILINE)
    assert len(told) == 3
    assert {name for line in told for name in re.findall(r"`([\w-]+)`", line)} <= set(planned_alarms("prod"))


def test_a_period_of_an_open_market_without_a_batch_is_a_bad_one() -> None:
    (good,), (due,) = expressions()["good"], expressions()["due"]
    for is_open, lag, expected in ((1, 5, 1), (1, 61, 0), (1, None, 0), (0, 5, 0), (0, None, 0)):
        values = {"open": float(is_open), "lag": None if lag is None else float(lag)}
        assert (evaluate(good, values, 0), evaluate(due, values, 0)) == (expected, is_open)
