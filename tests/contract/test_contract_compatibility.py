"""A change of the contract must read every line that was ever written under it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stock_pipeline.streaming.contract import trade_json_schema
from stock_pipeline.streaming.contract_compatibility import backward_breaks

PUBLISHED = sorted((Path(__file__).parents[2] / "contracts" / "published").glob("*.schema.json"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_the_contract_reads_every_published_version(path: Path) -> None:
    assert backward_breaks(json.loads(path.read_text()), trade_json_schema()) == []


def test_the_current_contract_is_published() -> None:
    # a version that was deployed stays here for ever; a change adds a file
    assert json.loads(PUBLISHED[-1].read_text()) == trade_json_schema()


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    schema = copy.deepcopy(trade_json_schema())
    change(schema)
    return schema


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["properties"].update(venue={"type": "string"}),
        lambda s: s["required"].remove("tape"),
        lambda s: s["properties"]["volume"].pop("minimum"),
        lambda s: s["properties"]["volume"].update(maximum=2**70),
        lambda s: s["properties"]["status"]["enum"].append("disputed"),
        lambda s: s["properties"]["sequence"].update(type=["integer", "null"]),
        lambda s: s["properties"]["symbol"].pop("pattern"),
        lambda s: s["properties"]["price"].update(description="dollars"),
        lambda s: s.update(additionalProperties=True),
    ],
)
def test_widening_is_compatible(change: Callable[[dict[str, Any]], object]) -> None:
    assert backward_breaks(trade_json_schema(), changed(change)) == []


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda s: (s["properties"].update(venue={"type": "string"}), s["required"].append("venue")), "venue"),
        (lambda s: s["properties"].pop("tape"), "tape"),
        (lambda s: s["properties"]["volume"].update(minimum=1), "volume"),
        (lambda s: s["properties"]["volume"].update(maximum=10), "volume"),
        (lambda s: s["properties"]["volume"].update(type="integer"), "volume"),
        (lambda s: s["properties"]["status"]["enum"].remove("notice"), "status"),
        (lambda s: s["properties"]["price"].update(type="integer"), "price"),
        (lambda s: s["properties"]["symbol"].update(pattern="^[A-Z]+$"), "symbol"),
        (lambda s: s["properties"]["feed"].update(maxLength=4), "feed"),
    ],
)
def test_narrowing_is_a_break_that_names_the_field(change: Callable[[dict[str, Any]], object], names: str) -> None:
    (reason,) = backward_breaks(trade_json_schema(), changed(change))
    assert reason.startswith(names)
