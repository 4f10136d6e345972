"""Names that a release promised are still there: commands, options, columns, addresses, fields, parameters.

`tests/data/releases/*/promises.json` has them. The API and `read` began with 0.2, and so did the order of columns.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.promises import promises

FIRST = "2026-11-23"
GIVEN_UP = {
    "gc": {"--keep-raw"},
    "daily_bars_adjusted": {"shares_after", "shares_before"},
}
"""What 0.2 took away of the first release, as CHANGELOG.md says. Nothing may come to it within a minor version."""

PARTITION = ("year", "month", "day")
RELEASES = sorted((Path(__file__).parents[1] / "data" / "releases").glob("*/promises.json"))


@pytest.fixture(params=RELEASES, ids=lambda path: path.parent.name)
def release(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def promised(release: Path) -> dict[str, Any]:
    return dict(json.loads(release.read_text()))


@pytest.fixture
def given_up(release: Path) -> dict[str, set[str]]:
    return GIVEN_UP if release.parent.name == FIRST else {}


def gone(promised: dict[str, list[str]], now: dict[str, list[str]]) -> dict[str, set[str]]:
    left = {name: set(parts) - set(now.get(name, ())) for name, parts in promised.items()}
    return {name: parts for name, parts in left.items() if parts or name not in now}


def test_commands_options_and_columns_are_still_there(promised: dict[str, Any], given_up: dict[str, set[str]]) -> None:
    now = promises()
    found = gone(promised["commands"], now["commands"]) | gone(promised["sql"], now["sql"])
    assert found == given_up


@pytest.mark.parametrize("release", [path for path in RELEASES if path.parent.name != FIRST], indirect=True)
def test_new_columns_stand_behind_those_of_before(promised: dict[str, Any]) -> None:
    for name, columns in promised["sql"].items():
        # Hive's partition columns are last whatever comes
        of_rows = [column for column in columns if column not in PARTITION]
        assert promises()["sql"][name][: len(of_rows)] == of_rows, name


@pytest.mark.parametrize("part", ["addresses", "fields"])
def test_the_api_keeps_its_addresses_parameters_and_fields(promised: dict[str, Any], part: str) -> None:
    assert gone(promised["http"][part], promises()["http"][part]) == {}


def test_reading_keeps_its_parameters_and_their_places(promised: dict[str, Any]) -> None:
    now = promises()["read"]
    for name, parameters in promised["read"].items():
        placed = [each for each in parameters if not each.startswith("*")]
        assert now[name][: len(placed)] == placed
        assert {each.lstrip("*") for each in parameters} <= {each.lstrip("*") for each in now[name]}
