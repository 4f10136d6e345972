"""Packing and publishing: every line goes out once, or is kept and announced."""

import base64
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.redrive.message_forms import lines_of_records
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.publisher import FailedZone, Publisher
from stock_pipeline.streaming.record_encoding import ENCODINGS
from stock_pipeline.streaming.record_lines import lines_of
from stock_pipeline.streaming.record_packing import CALL_BYTES, CALL_RECORDS, PackedRecord, calls, pack, partition_key
from tests.fakes.moody_stream import MoodyStream
from tests.support.clock import SECOND
from tests.support.trades import trade

keyed_lines = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"."))),
    max_size=60,
)


@given(keyed_lines, st.integers(10, 100))
def test_packing_keeps_every_line_and_its_order_within_a_key(lines: list[tuple[str, bytes]], limit: int) -> None:
    unpacked: dict[str, list[bytes]] = defaultdict(list)
    for record in pack(lines, limit):
        parts = record.data.split(b"\n")
        assert len(parts) == record.lines
        assert len(record.data) <= limit or record.lines == 1
        unpacked[record.partition_key].extend(parts)
    expected: dict[str, list[bytes]] = defaultdict(list)
    for key, text in lines:
        expected[key].append(text)
    assert unpacked == expected


def test_a_call_keeps_the_limits_of_put_records() -> None:
    records = [PackedRecord("bucket-0001", b"x" * 20_000, 1)] * 1_300 + [PackedRecord("b", b"x", 1)] * 1_300
    groups = list(calls(records))
    assert [record for group in groups for record in group] == records
    for group in groups:
        assert len(group) <= CALL_RECORDS
        assert sum(record.size for record in group) <= CALL_BYTES


def test_a_symbol_always_takes_the_same_bucket() -> None:
    # fixed for ever: after a change two versions of the producer would send one symbol two ways
    assert partition_key("AAPL", 64) == "bucket-0028"
    assert partition_key("XXX", 64) == partition_key("XXX", 64)


class Shelf:
    """A store and a queue at once."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.messages: list[bytes] = []

    def put_if_absent(self, key: str, body: bytes) -> bool:
        return self.objects.setdefault(key, body) is body

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def send(self, documents: Sequence[bytes]) -> None:
        self.messages.extend(documents)


def publisher(stream: MoodyStream, shelf: Shelf, encoding: str = "ndjson") -> tuple[Publisher, list[int]]:
    """A publisher for which every look at the clock takes a second, and its waits."""
    waits: list[int] = []
    return Publisher(
        stream,
        FailedZone(shelf, shelf),
        buckets=4,
        now_ns=count(SECOND, SECOND).__next__,
        wait=waits.append,
        encoding=ENCODINGS[encoding],
    ), waits


def test_refused_records_alone_are_put_again() -> None:
    stream, shelf = MoodyStream([{1}, {0}]), Shelf()
    publish, waits = publisher(stream, shelf)
    lines = [(f"key-{n}", b"line %d" % n) for n in range(3)]
    report = publish.publish_lines(lines, deadline_ns=10**12)
    assert sorted(record.data for record in stream.taken) == [b"line 0", b"line 1", b"line 2"]
    assert (report.lines, report.published, report.kept, report.retried_records) == (3, 3, 0, 2)
    assert waits == [1, 2]
    assert shelf.messages == []


@given(st.lists(st.sets(st.integers(0, 20)), max_size=8), st.integers(0, 6), st.sampled_from(list(ENCODINGS)))
def test_what_misses_the_deadline_is_kept_and_announced(refusals: list[set[int]], seconds: int, encoding: str) -> None:
    stream, shelf = MoodyStream([*refusals, *[set(range(30))] * 100]), Shelf()
    publish, _ = publisher(stream, shelf, encoding)
    trades = [trade(n, symbol=f"S{n}") for n in range(20)]
    report = publish.publish(trades, deadline_ns=seconds * 10**9)

    kept = [
        base64.b64decode(record["data_base64"])
        for body in shelf.objects.values()
        for record in json.loads(body)["records"]
    ]
    out = [line for record in stream.taken for line in lines_of(record.data)]
    # as redrive reads them
    held = list(lines_of_records(kept))
    assert len(out) == report.published
    assert len(held) == report.kept
    assert len(set(out) | set(held)) == report.lines == 20
    assert len(shelf.messages) == len(shelf.objects)


def test_pauses_grow_with_full_jitter_up_to_a_cap() -> None:
    pauses: list[float] = []
    wait = back_off(pauses.append, random.Random(1), BackOff(first_seconds=2, longest_seconds=8))
    for attempt in [1] * 200 + [9] * 200:
        wait(attempt)
    assert 0 <= min(pauses[:200]) < 0.2
    assert 1.8 < max(pauses[:200]) <= 2
    assert 7 < max(pauses[200:]) <= 8


def test_pauses_grow_from_a_tenth_of_a_second_to_five_seconds() -> None:
    pauses: list[float] = []
    wait = back_off(pauses.append, random.Random(1))
    for attempt in [1] * 200 + [9] * 200:
        wait(attempt)
    assert 0.09 < max(pauses[:200]) <= 0.1
    assert 4.5 < max(pauses[200:]) <= 5
