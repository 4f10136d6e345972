"""One batch has three effects, in order, and what fails is done again without harm."""

import base64
import io
import json
import threading
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow.parquet as pq
import pytest

from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.streaming.patience import ATTEMPTS
from stock_pipeline.streaming.rejection_message import parse_rejection_message
from stock_pipeline.streaming.trade_json import encode_trade
from stock_pipeline.trade_table import table_of_trades
from tests.support.kinesis_events import NOON, kinesis_event
from tests.support.oracle import without_ingest_time
from tests.support.processor_world import ABC, DAY, XYZ, ProcessorWorld
from tests.support.trades import trade, trade_on


def test_a_batch_of_trades_ends_in_the_lake_and_in_the_state(world: ProcessorWorld) -> None:
    rows = [trade(n) for n in range(3)]
    answer = world.handle(kinesis_event([b"\n".join(map(encode_trade, rows))]))
    assert answer == {"batchItemFailures": []}
    (key,) = world.lake.objects
    assert key.startswith("raw/trades/year=2018/month=1/day=2/shardId-000000000000-")
    assert pq.read_table(io.BytesIO(world.lake.get(key))).equals(table_of_trades(rows))
    assert world.table.held[ABC].state.latest == without_ingest_time(rows[-1])


def test_broken_lines_reach_the_queue_and_stop_nothing(world: ProcessorWorld) -> None:
    answer = world.handle(kinesis_event([b"not json\n" + encode_trade(trade(1)), b'{"symbol":1}']))
    assert answer == {"batchItemFailures": []}
    rejections = [parse_rejection_message(json.loads(document)) for document in world.queue.documents]
    assert [(r.reason, r.payload, r.line) for r in rejections] == [
        ("not_json", b"not json", 0),
        ("schema", b'{"symbol":1}', 0),
    ]
    assert world.raw_rows() == [trade(1).event_id]
    quarantined = [(row["reason"], row["payload"], row["rejection_id"]) for row in world.quarantine()]
    assert quarantined == [(str(r.reason), r.payload.decode(), r.rejection_id) for r in rejections]


def test_a_line_that_is_no_text_is_quarantined_byte_for_byte(world: ProcessorWorld) -> None:
    world.handle(kinesis_event([b"\xff\xfe"]))
    (row,) = world.quarantine()
    assert base64.b64decode(row["payload_base64"]) == b"\xff\xfe"


def test_the_report_counts_repeats_and_batches_written_before(world: ProcessorWorld) -> None:
    event = kinesis_event([encode_trade(trade(1)), encode_trade(trade(2)), encode_trade(trade(1)), b"{}"])
    first, second = world.processor().process(event), world.processor().process(event)
    assert (first.trades, first.lake.duplicates, first.lake.objects) == (3, 1, 1)
    assert (second.trades, second.lake.duplicates, second.lake.objects) == (3, 3, 0)
    assert first.rejected_by_reason == {"schema": 1}
    assert first.median_event_time_ns == trade(1).event_time_ns


def test_one_object_is_written_for_each_session_date_of_a_batch(world: ProcessorWorld) -> None:
    next_day = trade_on(date(2018, 1, 3), 5)
    world.handle(kinesis_event([encode_trade(trade(1)), encode_trade(next_day)], arrived_at=NOON + DAY))
    assert [key.split("/shard")[0] for key in sorted(world.lake.objects)] == [
        "raw/trades/year=2018/month=1/day=2",
        "raw/trades/year=2018/month=1/day=3",
    ]


def test_processing_a_batch_twice_is_processing_it_once(world: ProcessorWorld) -> None:
    event = kinesis_event([encode_trade(trade(n)) for n in range(4)])
    world.handle(event)
    objects, held, writes = dict(world.lake.objects), dict(world.table.held), world.table.writes
    world.handle(event)
    assert (world.lake.objects, world.table.held, world.table.writes) == (objects, held, writes)


def test_one_state_write_a_symbol_and_batch(world: ProcessorWorld) -> None:
    world.handle(kinesis_event([encode_trade(trade(n, symbol=s)) for n in range(50) for s in ("ABC", "XYZ")]))
    assert world.table.writes == 2


def test_a_write_that_lost_a_race_merges_with_the_winner(world: ProcessorWorld) -> None:
    winner = SymbolState(ABC, ()).merged_with([trade(9)], (5, 20))

    def interfere(state: SymbolState) -> None:
        world.table.interfere = lambda _state: None  # type: ignore[method-assign]
        world.table.write(winner, None)

    world.table.interfere = interfere  # type: ignore[method-assign]
    assert world.handle(kinesis_event([encode_trade(trade(1))])) == {"batchItemFailures": []}
    assert [t.event_id for t in world.table.held[ABC].state.window] == [trade(1).event_id, trade(9).event_id]
    assert world.waits == [1]


def test_a_symbol_that_is_not_written_returns_its_lowest_record(
    world: ProcessorWorld,
) -> None:
    def refuse(state: SymbolState) -> None:
        if state.key == XYZ:
            raise RetryableError("throttled")

    world.table.interfere = refuse  # type: ignore[method-assign]
    event = kinesis_event(
        [encode_trade(trade(1)), encode_trade(trade(2, symbol="XYZ")), encode_trade(trade(3, symbol="XYZ"))]
    )
    answer = world.handle(event)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][1]["kinesis"]["sequenceNumber"]}]}
    assert ABC in world.table.held
    assert len(world.waits) == ATTEMPTS - 1
    assert len(world.raw_rows()) == 3


@pytest.mark.parametrize("broken", ["queue", "lake", "table"])
def test_a_failed_effect_fails_the_batch_and_a_retry_mends_it(world: ProcessorWorld, broken: str) -> None:
    event = kinesis_event([b"broken", encode_trade(trade(1))])
    method = {"queue": "send", "lake": "put_if_absent", "table": "read_once"}[broken]
    part = getattr(world, broken)

    def fail(*_: object) -> None:
        raise ConnectionError(f"{broken} is away")

    setattr(part, method, fail)
    with pytest.raises(ConnectionError):
        world.handle(event)
    delattr(part, method)
    # nothing after the failed effect was done
    assert not world.table.held
    assert world.handle(event) == {"batchItemFailures": []}
    assert world.raw_rows() == [trade(1).event_id]
    assert ABC in world.table.held
    assert {parse_rejection_message(json.loads(d)).rejection_id for d in world.queue.documents} == {
        f"shardId-000000000000:{1:056}:0"
    }


def test_a_record_full_of_newlines_is_one_message(world: ProcessorWorld) -> None:
    record = b"\n" * 1_000 + encode_trade(trade(1)) + b"\n" * 1_000
    assert world.handle(kinesis_event([record, encode_trade(trade(2))])) == {"batchItemFailures": []}
    (document,) = world.queue.documents
    rejection = parse_rejection_message(json.loads(document))
    assert (rejection.payload, rejection.reason, rejection.line) == (record, "not_json", None)
    assert rejection.detail.startswith("1,999 lines of the record are not trades")
    assert world.raw_rows() == [trade(1).event_id, trade(2).event_id]


def test_a_range_whose_key_other_records_took_is_written_too(world: ProcessorWorld) -> None:
    # two lanes of a shard become one when the parallelization factor is changed: the same first and last record,
    # with others between them
    event = kinesis_event([encode_trade(trade(n)) for n in range(3)])
    without_the_middle = {"Records": [event["Records"][0], event["Records"][2]]}
    world.handle(without_the_middle)
    world.handle(event)
    assert set(world.raw_rows()) == {trade(n).event_id for n in range(3)}


@pytest.mark.parametrize("character", ["\uffff", "\ufffe", "\x00", "\x7f", "\U0001f4c8", "\ufffd"])
def test_a_rejected_line_of_any_character_suits_the_queue(world: ProcessorWorld, character: str) -> None:
    # SQS takes no U+FFFE, U+FFFF and control characters
    world.handle(kinesis_event([f"broken {character}".encode()]))
    (document,) = world.queue.documents
    assert document.isascii()
    assert document.decode().isprintable()
    assert parse_rejection_message(json.loads(document)).payload == f"broken {character}".encode()


def test_a_read_throttled_after_a_conflict_fails_its_symbol_only(world: ProcessorWorld) -> None:
    def refuse_xyz(state: SymbolState) -> None:
        if state.key == XYZ:
            raise StateConflictError("written by somebody else")

    read = world.table.read

    def read_many_only(keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, StoredState]:
        if len(keys) == 1:
            raise RetryableError("throttled")
        return read(keys)

    world.table.interfere = refuse_xyz  # type: ignore[method-assign]
    world.table.read = read_many_only  # type: ignore[method-assign]
    event = kinesis_event([encode_trade(trade(1)), encode_trade(trade(2, symbol="XYZ"))])
    answer = world.handle(event)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][1]["kinesis"]["sequenceNumber"]}]}
    assert ABC in world.table.held
    assert len(world.waits) == ATTEMPTS - 1


def test_a_symbol_that_fails_for_good_does_not_stop_the_others(world: ProcessorWorld) -> None:
    def break_abc(state: SymbolState) -> None:
        if state.key == ABC:
            raise PermissionError("no access")

    world.table.interfere = break_abc  # type: ignore[method-assign]
    symbols = ["ABC", *(f"S{n}" for n in range(20))]
    with pytest.raises(PermissionError):
        world.handle(kinesis_event([encode_trade(trade(1, symbol=symbol)) for symbol in symbols]))
    assert {key.symbol for key in world.table.held} == set(symbols) - {"ABC"}


def test_a_read_throttled_for_a_while_does_not_fail_the_batch(world: ProcessorWorld) -> None:
    refusals = [RetryableError("throttled")] * 3
    read = world.table.read

    def throttled(keys: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return read(keys)

    world.table.read = throttled  # type: ignore[method-assign]
    assert world.handle(kinesis_event([encode_trade(trade(1))])) == {"batchItemFailures": []}
    assert world.waits == [1, 2, 3]
    assert ABC in world.table.held


def test_an_event_of_another_service_is_refused_in_one_sentence(world: ProcessorWorld) -> None:
    with pytest.raises(ValueError, match="not an event of a Kinesis event source mapping"):
        world.handle({"Records": [{"eventSource": "aws:sqs"}]})


def test_rejections_are_sent_by_several_threads_after_the_lake(world: ProcessorWorld) -> None:
    """Each call waits for another one: with one thread the second would never come."""
    both = threading.Barrier(2, timeout=20)
    send = world.queue.send

    def send_with_another(documents: Sequence[bytes]) -> None:
        assert world.raw_rows()
        both.wait()
        send(documents)

    world.queue.send = send_with_another  # type: ignore[method-assign]
    broken = b"\n".join([encode_trade(trade(1)), *[b"broken"] * 20])
    assert world.handle(kinesis_event([broken])) == {"batchItemFailures": []}
    assert len(world.queue.documents) == 20


def test_a_rejection_too_large_for_a_message_is_sent_alone(world: ProcessorWorld) -> None:
    """It is two calls, one of them the bucket's: time is looked at before the next."""
    calls: list[int] = []
    send = world.queue.send

    def count(documents: Sequence[bytes]) -> None:
        calls.append(len(documents))
        send(documents)

    world.queue.send = count  # type: ignore[method-assign]
    large = b"<html>\n" * 30_000
    world.handle(kinesis_event([b"small", large, *[b"small"] * 12, large, large]))
    assert sorted(calls) == [1, 1, 1, 1, 2, 10]
    assert len(world.queue.documents) == 16
