"""Whatever has a name that people type or meet is explained in one place: a row of a table; alarms have a heading.

A row explains what its first cell names, if that cell has nothing but names. Pages may speak of it anywhere else.
Checks are held to their sections by `test_runbook.py`.
"""

import argparse
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stock_pipeline.cli import parser
from stock_pipeline.definitions import build_definitions
from stock_pipeline.metrics import METRICS
from stock_pipeline.settings import SETTINGS, Settings
from tests.support.alarms import planned_alarms

ROOT = Path(__file__).parents[2]
DOCS = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
MODELS = ROOT / "dbt_project" / "models"


NAMES = r"((?:`[^`]+`(?:, )?)+)"
ROW = rf"^\| {NAMES} \|(?!.*\n\|---)"
HEADING = rf"^#+ {NAMES}$"


def explained(text: str, place: str) -> list[str]:
    """Return the names that rows or headings of a page explain, as often as they do."""
    return [name for each in re.findall(place, text, re.MULTILINE) for name in re.findall("`([^`]+)`", each)]


def commands() -> set[str]:
    (actions,) = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return set(actions.choices)


def schedules_and_sensors() -> set[str]:
    names = set()
    for target in ("local", "athena"):
        repository = build_definitions(Settings.from_env({"DBT_TARGET": target})).get_repository_def()
        names |= {one.name for one in (*repository.schedule_defs, *repository.sensor_defs)}
    return names - {"default_automation_condition_sensor"}


def public_models() -> set[str]:
    return {path.stem for path in (MODELS / "marts").glob("*.sql")}


def alarms() -> set[str]:
    return {name for environment in ("dev", "prod") for name in planned_alarms(environment)}


@pytest.mark.parametrize(
    ("page", "place", "kind"),
    [
        ("settings.md", ROW, lambda: {setting.variable for setting in SETTINGS}),
        ("metrics.md", ROW, lambda: {metric.name for metric in METRICS}),
        ("operate.md", ROW, commands),
        ("operate.md", ROW, schedules_and_sensors),
        ("runbook.md", HEADING, alarms),
        ("models.md", ROW, public_models),
    ],
    ids=["settings", "metrics", "commands", "schedules", "alarms", "models"],
)
def test_it_is_explained_once(page: str, place: str, kind: Callable[[], set[str]]) -> None:
    names = kind()
    assert names
    found = Counter((name, each) for each, text in DOCS.items() for name in explained(text, place) if name in names)
    assert found == Counter((name, page) for name in names)


def test_every_model_of_dbt_is_described_once_and_so_is_each_column() -> None:
    models: list[str] = []
    for path in MODELS.rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            models.append(model["name"])
            assert model["description"].strip(), model["name"]
            columns = [column["name"] for column in model.get("columns", [])]
            assert len(columns) == len(set(columns)), model["name"]
            assert [column["name"] for column in model.get("columns", []) if not column.get("description")] == []
    assert sorted(models) == sorted(path.stem for path in MODELS.rglob("*.sql"))
