"""What can't be done now is answered record by record: a service that is away or refuses, or no time left."""

from dataclasses import replace
from typing import Any

import pytest

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.symbol_state import SymbolState
from stock_pipeline.errors import RetryableError
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.kinesis_events import NOON, kinesis_event
from tests.support.processor_world import ABC, DAY, AccessDenied, ProcessorWorld
from tests.support.trades import trade


def answer_from(event: dict[str, Any], place: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": event["Records"][place]["kinesis"]["sequenceNumber"]}]}


def one_of_each_symbol(symbols: int) -> dict[str, Any]:
    return kinesis_event([encode_trade(trade(n, symbol=f"S{n:03}", event_id=f"id{n}")) for n in range(symbols)])


@pytest.mark.parametrize("error", [RetryableError("it throttles"), AccessDenied("no grant")], ids=["away", "refuses"])
@pytest.mark.parametrize("part", ["lake", "queue", "read", "write"])
def test_what_is_away_is_answered_with_the_first_unfinished_record(
    world: ProcessorWorld, part: str, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    owner, method = {
        "lake": (world.lake, "put_if_absent"),
        "queue": (world.queue, "send"),
        "read": (world.table, "read_once"),
        "write": (world.table, "write"),
    }[part]
    event = kinesis_event([encode_trade(trade(0, symbol="OLD")), b"broken", encode_trade(trade(1))])
    world.limits = ArrivalLimits(remembered_days=7)
    event["Records"][0]["kinesis"]["approximateArrivalTimestamp"] = NOON + 8 * DAY
    setattr(owner, method, fail)
    first = {"lake": 0, "queue": 1, "read": 2, "write": 2}[part]
    assert world.handle(event) == answer_from(event, first)
    report = world.processor().process(event)
    assert str(error) in report.why
    delattr(owner, method)
    # what does not depend on it was done
    assert (len(world.raw_rows()) == 2) == (part != "lake")
    assert bool(world.queue.documents) == (part in ("read", "write"))
    assert (ABC in world.table.held) == (part == "queue")
    assert world.handle(event) == {"batchItemFailures": []}
    assert ABC in world.table.held


def test_a_refusal_ends_the_tries_of_all_symbols(world: ProcessorWorld) -> None:
    def refuse(_state: SymbolState) -> None:
        calls.append(1)
        raise AccessDenied("no grant")

    calls: list[int] = []
    world.table.interfere = refuse  # type: ignore[method-assign]
    event = one_of_each_symbol(100)
    assert world.handle(event) == answer_from(event, 0)
    # one a thread at most: they may all be under way before the first is refused
    assert len(calls) <= Processor.parallel_calls
    assert world.waits == []


def test_a_trade_that_the_table_can_not_take_is_no_refusal(world: ProcessorWorld) -> None:
    def refuse(state: SymbolState) -> None:
        if state.key.symbol == "S003":
            raise ValueError("one item is too large")

    world.table.interfere = refuse  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="too large"):
        world.handle(one_of_each_symbol(10))
    assert len(world.table.held) == 9


@pytest.mark.parametrize("calls_left", range(8))
def test_without_time_nothing_is_begun_and_the_rest_is_answered(world: ProcessorWorld, calls_left: int) -> None:
    """The places, in order: raw file, quarantine file, message, read, and a write for each of three symbols."""
    left = iter([True] * calls_left)
    event = kinesis_event([b"broken", *[encode_trade(trade(n, symbol=f"S{n}")) for n in range(3)]])
    processor = replace(world.processor(), parallel_calls=1)
    first = [0, 0, 0, 1, 1, 2, 3, None][calls_left]
    answer = processor.handle(event, lambda: next(left, False))
    assert answer == ({"batchItemFailures": []} if first is None else answer_from(event, first))
    assert len(world.raw_rows()) == (3 if calls_left else 0)
    assert len(world.queue.documents) == (calls_left > 2)
    assert len(world.table.held) == max(0, calls_left - 4)
    assert world.waits == []
    assert processor.handle(event) == {"batchItemFailures": []}
    assert len(world.table.held) == 3
