"""A load that went wrong: for any one wrong figure there is a sentence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from stock_pipeline.local.load.findings import LakeFindings, QueueFindings
from stock_pipeline.local.load.report import LoadReport, LoadTraffic, disagreements, report_json
from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import FEED, Simulation, arrivals
from tests.support.trades import NOON

WINDOWS = (5, 20)


def right_report() -> LoadReport:
    """Return the report of a load without a fault."""
    ledger = Ledger()
    simulation = Simulation(("AAA", "BBB"), date(2018, 1, 2), 300, seed=1, repeated=0.1, corrected=0.1, broken=0.1)
    for _ in arrivals(simulation, NOON, ledger):
        pass
    items: dict[tuple[str, str], dict[str, Any]] = {}
    for symbol in simulation.symbols:
        state = ledger.expected_state(symbol, WINDOWS)
        assert state.latest is not None
        items[(symbol, FEED)] = {
            "symbol": symbol,
            "event_id": state.latest.event_id,
            "event_time_ns": Decimal(state.latest.event_time_ns),
            "price": state.latest.price,
            "volume": Decimal(state.latest.volume or 0),
            "conditions": state.latest.conditions,
            "sma_5": state.averages[5],
            "sma_20": state.averages[20],
        }
    rejected = ledger.rejected.total()
    return LoadReport(
        ledger=ledger,
        traffic=LoadTraffic(seconds=2.0, records=9, invocations=3, put_twice=7, redriven=4),
        lake=LakeFindings(3, ledger.rows + 100, ledger.rows + ledger.repeats + 7, ledger.lake, ()),
        queue=QueueFindings(
            rejected,
            frozenset(str(number) for number in range(rejected)),
            {str(reason): count for reason, count in ledger.rejected.items()},
        ),
        given_up=4,
        items=items,
        average_windows=WINDOWS,
        faults={},
    )


def with_item(report: LoadReport, **changes: Any) -> LoadReport:
    items = dict(report.items)
    items[("AAA", FEED)] = {**items[("AAA", FEED)], **changes}
    return replace(report, items=items)


def with_lake(report: LoadReport, **changes: int) -> LoadReport:
    return replace(report, lake=replace(report.lake, digest=report.lake.digest._replace(**changes)))


def test_a_load_after_which_all_is_well_has_no_disagreements() -> None:
    report = right_report()
    assert disagreements(report) == []
    document = report_json(report, {"peak_mb": 1.0})
    assert document["accounting"]["balances"]
    assert document["trades_per_second"] == 150
    assert document["disagreements"] == []


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda report: replace(report, given_up=3), "does not balance"),
        (lambda report: replace(report, traffic=replace(report.traffic, put_twice=8)), "does not balance"),
        (lambda report: replace(report, queue=replace(report.queue, rejection_ids=frozenset())), "does not balance"),
        (lambda report: replace(report, queue=replace(report.queue, by_reason={"value": 1})), "rejected lines"),
        (lambda report: with_lake(report, row_hash=1), "the lake holds"),
        (lambda report: with_lake(report, volume=1), "the lake holds"),
        (lambda report: with_item(report, price=Decimal("0.01")), "AAA shows"),
        (lambda report: with_item(report, sma_20=Decimal("0.01")), "AAA shows"),
        (lambda report: with_item(report, event_id="sim:AAA:20180102:N:0"), "AAA shows"),
        (lambda report: replace(report, items={}), "AAA is missing"),
        (lambda report: replace(report, items={**report.items, ("ZZZ", FEED): {}}), "ZZZ is not a simulated symbol"),
    ],
)
def test_whatever_is_wrong_is_said(spoil: Callable[[LoadReport], LoadReport], says: str) -> None:
    (sentence,) = disagreements(spoil(right_report()))
    assert says in sentence
