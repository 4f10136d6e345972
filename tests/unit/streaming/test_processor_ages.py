"""Trades from before the table's memory, and from the future."""

import json

import pytest

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.streaming.rejection_message import parse_rejection_message
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.kinesis_events import NOON, kinesis_event
from tests.support.oracle import without_ingest_time
from tests.support.processor_world import ABC, DAY, XYZ, ProcessorWorld
from tests.support.trades import trade

LATER = NOON + 8 * DAY
"""An arrival after the time to live of a trade at noon."""


@pytest.mark.parametrize("path", ["fast", "strict"])
def test_a_trade_older_than_the_table_remembers_enters_the_lake_only(world: ProcessorWorld, path: str) -> None:
    """Its symbol's item may have expired with newer trades, or with its own cancellation."""
    world.limits = ArrivalLimits(remembered_days=7)
    young = trade(2, symbol="XYZ", event_time_ns=int((LATER - 7 * DAY) * 1e9))
    older = trade(3, symbol="XYZ", event_time_ns=young.event_time_ns - 1)
    odd = [] if path == "fast" else [b"odd"]
    event = kinesis_event([*map(encode_trade, [trade(1), young, older]), *odd], arrived_at=LATER)
    assert world.handle(event) == {"batchItemFailures": []}
    assert world.raw_rows() == sorted(row.event_id for row in (trade(1), young, older))
    assert set(world.table.held) == {XYZ}
    assert world.table.held[XYZ].state.window == (without_ingest_time(young),)


def test_a_cancelled_trade_whose_item_expired_stays_cancelled(world: ProcessorWorld) -> None:
    world.limits = ArrivalLimits(remembered_days=7)
    world.handle(kinesis_event([encode_trade(trade(1, status="cancelled", version=1))]))
    world.handle(kinesis_event([encode_trade(trade(2))]))
    world.table.held.clear()  # DynamoDB deleted what had expired
    world.handle(kinesis_event([encode_trade(trade(1))], arrived_at=LATER))
    assert world.table.held == {}


def test_a_trade_from_the_future_owns_no_symbol(world: ProcessorWorld) -> None:
    new_year_2100 = trade(7, event_time_ns=4_102_444_799 * 10**9)
    world.handle(kinesis_event([encode_trade(new_year_2100), *[encode_trade(trade(n)) for n in range(5)]]))
    assert world.table.held[ABC].state.latest == without_ingest_time(trade(4))
    assert {key.split("/shard")[0] for key in world.lake.objects if key.startswith("raw/")} == {
        "raw/trades/year=2018/month=1/day=2"
    }
    (row,) = world.quarantine()
    assert (row["reason"], row["line"]) == ("future", 0)


def test_a_redelivery_is_judged_as_before(world: ProcessorWorld) -> None:
    ahead = trade(1, event_time_ns=int((NOON + 3_600) * 1e9))
    for _ in range(2):
        assert world.handle(kinesis_event([encode_trade(ahead)])) == {"batchItemFailures": []}
    assert world.raw_rows() == []
    assert len({parse_rejection_message(json.loads(d)).rejection_id for d in world.queue.documents}) == 1
    # a redriven line is in a new record: its time has come
    assert world.handle(kinesis_event([encode_trade(ahead)], first=9, arrived_at=NOON + 3_600)) == {
        "batchItemFailures": []
    }
    assert world.raw_rows() == [ahead.event_id]
