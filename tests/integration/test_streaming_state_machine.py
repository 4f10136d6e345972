"""Under any schedule of faults the streaming path loses nothing, and the same trades give the same answer.

Hypothesis chooses what is published, what fails, who crashes, when shards split and merge, and how time passes. After
each step the books must balance. At the end the faults stop, everything must drain in bounded time, and what was given
up is redriven. State, lake and queue must then follow from the lines alone.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.rejection import MAX_REJECTIONS_OF_RECORD
from stock_pipeline.domain.symbol_state import SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.local.event_source.mapping import EventSourceMapping
from stock_pipeline.streaming.patience import ATTEMPTS
from stock_pipeline.streaming.record_packing import partition_key
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.faults import Fault
from tests.fakes.stores import FakeCatalog
from tests.support.clock import SECOND, START_NS
from tests.support.oracle import sessions, windows, winning_trades, without_ingest_time
from tests.support.stream_batches import MAPPING
from tests.support.streaming_books import Line
from tests.support.streaming_world import BUCKETS, WINDOWS, StreamingWorld
from tests.support.trades import DAY_NS, NOON, trade

EXAMPLES = 500
STEPS = 25
HOURS_TO_DRAIN = 2
ROUNDS_TO_DRAIN = 500
SYMBOLS = ("ABC", "XYZ", "QRS", "KLM")
LAST_OF_THE_DAY = 15
"""Trades after this one belong to the next session."""

STATUSES = ("good", "corrected", "cancelled")

_EFFECTS = (
    Fault.REFUSED,
    Fault.UNREACHABLE,
    Fault.ANSWER_LOST,
    Fault.REPEATED,
    Fault.PARTIAL,
    Fault.FORBIDDEN,
    Fault.LATE,
    Fault.SLOW,
    Fault.CUT_OFF_BEFORE,
    Fault.CUT_OFF_AFTER,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.OVERTAKEN,
)
_READS = (Fault.REFUSED, Fault.UNREACHABLE, Fault.ANSWER_LOST, Fault.CRASH_AFTER)
FAULTS: dict[str, tuple[Fault, ...]] = {
    "put_item": _EFFECTS,
    "put_object": _EFFECTS,
    "send_message_batch": _EFFECTS,
    "send_message": _EFFECTS,
    "batch_get_item": (*_READS, Fault.PARTIAL, Fault.FORBIDDEN, Fault.LATE, Fault.CUT_OFF_BEFORE),
    "put_records": (Fault.REFUSED, Fault.UNREACHABLE, Fault.ANSWER_LOST, Fault.REPEATED, Fault.PARTIAL),
    "handle": (Fault.REFUSED, Fault.ANSWER_LOST, Fault.SLOW, Fault.CRASH_BEFORE, Fault.CRASH_AFTER),
    "get_records": _READS,
    "get_shard_iterator": _READS,
    "list_shards": _READS,
}

BROKEN_LINES = (
    b"not json",
    b"",
    b"\xff\xfe",
    "\uffff".encode(),
    b'{"symbol":1}',
    b"[" * 2000,
    encode_trade(trade(1)).replace(b"11.50", b"NaN"),
    encode_trade(trade(1)).replace(b"11.50", b"1e999"),
    encode_trade(trade(1)).replace(b'"volume":100', b'"volume":100,"volume":200'),
    encode_trade(trade(1)).replace(b'"volume":100', b'"volume":' + b"9" * 30),
    encode_trade(trade(1)).replace(b'"tape":"A"', b'"tape":"\\ud800"'),
)

CALLS_OF_THE_PROCESSOR = ("put_object", "send_message_batch", "batch_get_item", "put_item")

OTHER_FORMS = (
    b"\xf3\x89\x9a\xc2\x0a\x0bbucket-0001\x1a" + encode_trade(trade(1)) + b"\n" + encode_trade(trade(2)),
    b"\x1f\x8b\x08 a\ngzip\nframe",
    b"{\n" + encode_trade(trade(1))[1:-1] + b"\n}",
    b"[\n" + encode_trade(trade(1)) + b",\n" + encode_trade(trade(2)) + b"\n]",
    (encode_trade(trade(1)) + b"\n" + encode_trade(trade(2))).decode().encode("utf-16"),
    b"<html>\n</html>",
    b"\n" * 1000,
)
"""Records of other programs, which are no lines of JSON."""

MISSPELT = encode_trade(trade(1)).replace(b'"volume"', b'"volumes"')

mappings = st.builds(
    lambda **changes: replace(MAPPING, **changes),
    batch_size=st.integers(1, 5),
    maximum_batching_window_in_seconds=st.sampled_from([0, 5]),
    parallelization_factor=st.integers(1, 3),
    bisect_batch_on_function_error=st.booleans(),
    maximum_retry_attempts=st.sampled_from([0, 1, 3, -1]),
    maximum_record_age_in_seconds=st.sampled_from([-1, 60, 3600]),
)


def trade_of(symbol: str, number: int, version: int, seen: int) -> Trade:
    """Return one version of a symbol's `number`-th trade, as seen for the first, second, … time."""
    later = DAY_NS if number > LAST_OF_THE_DAY else 0
    return trade(
        number,
        event_id=f"sim:{symbol}:{number}",
        symbol=symbol,
        event_time_ns=NOON + number // 3 * 10**9 + later,
        sequence=number % 3,
        price=Decimal(100 + number + version) / 8,
        status=STATUSES[version],
        version=version,
        ingest_time_ns=NOON + DAY_NS + seen * 1_000_000,
    )


def trade_ahead(symbol: str, half_hours: int) -> Trade:
    """Return a trade of so much time after the start. The same one comes again when its time has come."""
    return trade(
        half_hours,
        event_id=f"sim:{symbol}:ahead:{half_hours}",
        symbol=symbol,
        event_time_ns=START_NS + half_hours * 1_800 * SECOND,
        ingest_time_ns=START_NS,
    )


def line_of(row: Trade) -> Line:
    return partition_key(row.symbol, BUCKETS), encode_trade(row)


trade_lines = st.builds(
    trade_of,
    symbol=st.sampled_from(SYMBOLS),
    number=st.integers(0, 20),
    version=st.sampled_from([0, 0, 0, 1, 2]),
    seen=st.integers(0, 1),
).map(line_of)
lines_ahead = st.builds(trade_ahead, symbol=st.sampled_from(SYMBOLS), half_hours=st.integers(0, 6)).map(line_of)
broken_lines = st.tuples(
    st.sampled_from([partition_key(symbol, BUCKETS) for symbol in SYMBOLS]), st.sampled_from(BROKEN_LINES)
)
pages = st.lists(st.one_of(*[trade_lines] * 6, lines_ahead, *[broken_lines] * 2), min_size=1, max_size=6)
coming_faults = st.lists(
    st.sampled_from([(operation, fault) for operation, faults in FAULTS.items() for fault in faults]),
    min_size=1,
    max_size=4,
)


class Streaming(RuleBasedStateMachine):
    world: StreamingWorld

    @initialize(mapping=mappings, shards=st.integers(1, 2))
    def begin(self, mapping: EventSourceMapping, shards: int) -> None:
        self.world = StreamingWorld(mapping, shards)
        self.catalog = FakeCatalog()
        self.old_checkpoints: list[dict[str, str]] = [{}]

    @rule(page=pages)
    def publish(self, page: list[Line]) -> None:
        self.world.publish(page)

    @rule(symbols=st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=2), first=st.integers(0, 16))
    def publish_a_burst(self, symbols: list[str], first: int) -> None:
        """Publish each trade as a record. With others they are more of a symbol than its state keeps."""
        for number in range(first, first + 5):
            row = trade_of(symbols[number % len(symbols)], number, 0, 0)
            self.world.publish([line_of(row)])

    @rule(form=st.sampled_from(OTHER_FORMS), symbol=st.sampled_from(SYMBOLS))
    def another_program_writes(self, form: bytes, symbol: str) -> None:
        self.world.put_record(partition_key(symbol, BUCKETS), form)

    @rule(broken=st.sampled_from([MAX_REJECTIONS_OF_RECORD, MAX_REJECTIONS_OF_RECORD + 1]), line=trade_lines)
    def a_source_misspells_a_field(self, broken: int, line: Line) -> None:
        """Publish so many broken lines in one record that they are, or are not, one message."""
        key, text = line
        self.world.books.handed_over([text])
        self.world.put_record(key, b"\n".join([MISSPELT] * broken + [text]))

    @precondition(lambda self: self.world.books.lines)
    @rule(places=st.lists(st.integers(0, 200), min_size=1, max_size=4))
    def publish_again(self, places: list[int]) -> None:
        lines = self.world.books.lines
        self.world.publish([(partition_key("ABC", BUCKETS), lines[place % len(lines)]) for place in places])

    @rule()
    def publish_what_failed(self) -> None:
        self.world.publish_what_failed()

    @rule(faults=coming_faults)
    def expect(self, faults: list[tuple[str, Fault]]) -> None:
        for operation, fault in faults:
            self.world.faults.expect(operation, fault)

    @rule(fault=st.sampled_from([Fault.REFUSED, Fault.UNREACHABLE, Fault.ANSWER_LOST]), symbols=st.integers(1, 4))
    def exhaust_the_patience_of_the_next_writes(self, fault: Fault, symbols: int) -> None:
        """Let the states of so many symbols fail: the answer names the first record that touches one of them."""
        self.world.faults.expect("put_item", *[fault] * ATTEMPTS * symbols)
        self.world.poll()
        self.world.poll()

    @rule(page=pages, operation=st.sampled_from(CALLS_OF_THE_PROCESSOR), calls=st.integers(1, 12))
    def forbid(self, page: list[Line], operation: str, calls: int) -> None:
        """Let bucket, queue or table refuse everybody for a while: the answer names the first unfinished record."""
        self.world.publish(page)
        self.world.faults.expect(operation, *[Fault.FORBIDDEN] * calls)
        self.world.poll()
        self.world.poll()

    @rule(page=pages, operation=st.sampled_from(CALLS_OF_THE_PROCESSOR), calls=st.integers(2, 4))
    def run_out_of_time(self, page: list[Line], operation: str, calls: int) -> None:
        """Let some calls take long: with too little time left none is begun."""
        self.world.publish(page)
        self.world.faults.expect(operation, *[Fault.LATE] * calls)
        self.world.poll()
        self.world.poll()

    @rule(rounds=st.integers(1, 8))
    def poll(self, rounds: int) -> None:
        self.old_checkpoints.append(dict(self.world.checkpoints))
        for _ in range(rounds):
            self.world.poll()

    @rule(seconds=st.sampled_from([1, 20, 61, 3700]))
    def pass_by(self, seconds: int) -> None:
        self.world.clock.pass_by(seconds)

    @rule(mapping=st.none() | mappings, polls_back=st.integers(0, 3))
    def restart(self, mapping: EventSourceMapping | None, polls_back: int) -> None:
        """Start the poller again, with other settings or the same, from its checkpoint or that of some polls ago."""
        checkpoints = [*self.old_checkpoints, self.world.checkpoints]
        self.world.restart(mapping, checkpoints[max(0, len(checkpoints) - 1 - polls_back)])

    @rule(mapping=mappings)
    def deploy_at_the_next_crash(self, mapping: EventSourceMapping) -> None:
        self.world.next_mapping = mapping

    @precondition(lambda self: self.world.events)
    @rule(place=st.integers(0, 50))
    def deliver_again(self, place: int) -> None:
        self.world.deliver_again(place)

    @rule(place=st.integers(0, 5))
    def split_a_shard(self, place: int) -> None:
        opened = self._open_shards()
        if len(opened) < 4:
            self.world.kinesis.split_shard(opened[place % len(opened)])

    @rule(place=st.integers(0, 5))
    def merge_shards(self, place: int) -> None:
        opened = self._open_shards()
        if len(opened) > 1:
            first = place % (len(opened) - 1)
            self.world.kinesis.merge_shards(opened[first], opened[first + 1])

    @invariant()
    def nothing_behind_a_checkpoint_is_lost(self) -> None:
        self.world.settle_books()
        lost = self.world.books.lost(self.world.records_behind_checkpoints())
        assert not lost, lost

    @invariant()
    def state_holds_nothing_that_the_lake_does_not(self) -> None:
        lake = set(map(without_ingest_time, self.world.books.lake_rows()))
        assert set(self.world.state()) <= lake

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self._stop_faults()
        self.world.publish_what_failed()
        self._drain()
        self._assert_what_was_never_given_up_is_complete()
        if self.world.redrive():
            self._drain()
            assert not self.world.redrive(), "given up again although nothing fails any more"
        self._assert_everything_is_complete()
        self.world.clock.pass_by(DAY_NS // SECOND)
        if self.world.redrive_what_has_come():
            self._drain()
        self._assert_state_and_lake_are(self.world.books.trades())

    def _stop_faults(self) -> None:
        self.world.faults.clear()
        self.world.restart(replace(self.world.mapping, maximum_record_age_in_seconds=-1))

    def _drain(self) -> None:
        """No shard is blocked for ever: everything is done in bounded time and a bounded number of rounds."""
        began_at = self.world.clock.now()
        for _ in range(ROUNDS_TO_DRAIN):
            if self.world.poll():
                break
        else:
            raise AssertionError(f"not drained after {ROUNDS_TO_DRAIN} rounds: {self.world.checkpoints}")
        assert (self.world.clock.now() - began_at).total_seconds() <= HOURS_TO_DRAIN * 3600
        self.world.settle_books()
        assert not self.world.books.lost(self.world.stream())

    def _assert_what_was_never_given_up_is_complete(self) -> None:
        books, records = self.world.books, list(self.world.stream())
        assert books.trades_never_given_up(records) <= books.lake_rows() <= books.trades_of(records) <= books.trades()
        expected = books.rejections_never_given_up(records)
        assert expected.items() <= books.rejected.items() <= books.rejections(records).items()
        if not books.anything_given_up:
            self._assert_state_and_lake_are(books.trades_of(records))

    def _assert_everything_is_complete(self) -> None:
        books, records = self.world.books, list(self.world.stream())
        self._assert_state_and_lake_are(books.trades_of(records))
        assert books.lake_rows() == books.trades_of(records)
        rejected = set(books.rejected.values())
        # a record that was given up may have come again when the time of its trades had come
        ahead = books.trades_ahead(records) - set(books.rejections_never_given_up(records).values())
        assert set(books.rejections(records).values()) - ahead <= rejected <= set(books.rejections(records).values())

    def _assert_state_and_lake_are(self, rows: set[Trade]) -> None:
        world = self.world
        states = [SymbolState(key, held) for key, held in windows(rows, window_capacity(WINDOWS)).items()]
        assert world.dynamodb.items == {(s.key.symbol, s.key.feed): world.table.item(s) for s in states}
        assert winning_trades(world.books.lake_rows()) == winning_trades(rows)
        for session_date, winning in sessions(rows).items():
            report = Compactor(world.lake, self.catalog, now=world.clock.now).compact(session_date)
            assert report.rows_out == len(winning)
            assert report.volume == sum(row.volume or 0 for row in winning)

    def _open_shards(self) -> list[str]:
        opened = [shard for shard in self.world.kinesis.shards.values() if not shard.is_closed]
        return [shard.shard_id for shard in sorted(opened, key=lambda shard: shard.first_hash_key)]


TestStreaming: Any = pytest.mark.system(Streaming.TestCase)
TestStreaming.settings = settings(max_examples=max(EXAMPLES, settings().max_examples), stateful_step_count=STEPS)
