"""The books of the streaming path: what was handed over, what became of it, and what should have become of it.

The expected end is computed from the records alone, here and in the oracle; nothing of the streaming path is used but
the definitions of what a trade is (the strict decoder) and of what has lines (`record_lines`).
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.rejection import MAX_REJECTIONS_OF_RECORD
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.streaming.record_lines import other_form
from stock_pipeline.streaming.trade_json import decode_trade
from tests.support.raw_files import read_trades

Line = tuple[str, bytes]
"""A partition key and a line, or several."""


class Record(NamedTuple):
    """A record of the stream."""

    shard_id: str
    sequence_number: str
    data: bytes
    arrived_ns: int

    @property
    def record_id(self) -> str:
        return f"{self.shard_id}:{self.sequence_number}"


class Judged(NamedTuple):
    """What a line or a whole record must become: a row of the lake, or a rejection with this id."""

    rejection_id: str
    payload: bytes
    row: Trade | None


class Books:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.rejected: Mapping[str, bytes] = {}
        self._lake: dict[str, tuple[bytes, list[Trade]]] = {}
        self._given_up_records: set[str] = set()
        self._given_up_lines: set[bytes] = set()

    def handed_over(self, texts: Iterable[bytes]) -> None:
        """Lines that the producer began to publish."""
        self.lines += [line for text in texts for line in text.split(b"\n")]

    def note_lake(self, objects: Mapping[str, bytes]) -> None:
        for key, body in objects.items():
            held = self._lake.get(key)
            if held is None or held[0] is not body:
                self._lake[key] = body, read_trades(body)

    def note_rejected(self, payloads: Mapping[str, bytes]) -> None:
        self.rejected = payloads

    def note_given_up(self, documents: Iterable[Mapping[str, Any]]) -> None:
        for document in documents:
            for _, data in records_of(document):
                self._given_up_lines |= set(data.split(b"\n"))
            if "payload" in document:
                self._given_up_records |= {record["eventID"] for record in json.loads(document["payload"])["Records"]}

    # What there is

    @property
    def anything_given_up(self) -> bool:
        return bool(self._given_up_lines)

    def lake_rows(self) -> set[Trade]:
        return {row for _, rows in self._lake.values() for row in rows}

    def lost(self, records: Iterable[Record]) -> list[str]:
        """Lines of these records that are neither in the lake, nor in the queue with their payload, nor given up."""
        lake = self.lake_rows()
        return [
            f"{each.rejection_id} {each.payload!r}"
            for record in records
            if record.record_id not in self._given_up_records
            for each in judged(record)
            if not self._is_settled(each, lake)
        ]

    def _is_settled(self, each: Judged, lake: set[Trade]) -> bool:
        return self.rejected.get(each.rejection_id) == each.payload if each.row is None else each.row in lake

    # What there should be

    def trades(self) -> set[Trade]:
        """All that was handed over, whether its time has come or not."""
        return {row for line in self.lines if (row := read_line(line)) is not None}

    def trades_of(self, records: Iterable[Record]) -> set[Trade]:
        """What must be in the lake once all of these records were processed."""
        return {each.row for record in records for each in judged(record) if each.row is not None}

    def trades_never_given_up(self, records: Iterable[Record]) -> set[Trade]:
        return self.trades_of(self._never_given_up(records))

    def rejections(self, records: Iterable[Record]) -> dict[str, bytes]:
        """What must be in the queue once all of these records were processed."""
        return {each.rejection_id: each.payload for record in records for each in judged(record) if each.row is None}

    def trades_ahead(self, records: Iterable[Record]) -> set[bytes]:
        """Lines that are rejected for their time alone."""
        return {
            line
            for line in self.rejections(records).values()
            if other_form(line) is None and read_line(line) is not None
        }

    def rejections_never_given_up(self, records: Iterable[Record]) -> dict[str, bytes]:
        return self.rejections(self._never_given_up(records))

    def _never_given_up(self, records: Iterable[Record]) -> list[Record]:
        return [record for record in records if record.record_id not in self._given_up_records]


@lru_cache(maxsize=10_000)
def read_line(line: bytes) -> Trade | None:
    """The trade in a line as the lake holds it, or None if it is to be rejected."""
    try:
        row = decode_trade(line)
    except InvalidTradeError:
        return None
    return replace(row, ingest_time_ns=row.ingest_time_ns // 1000 * 1000)


def records_of(document: Mapping[str, Any]) -> list[Line]:
    """The records in a document of `failed/`, the publisher's or the event source mapping's."""
    if document.get("kind") == "unpublished_records":
        return [(record["partition_key"], base64.b64decode(record["data_base64"])) for record in document["records"]]
    records = [record["kinesis"] for record in json.loads(document["payload"])["Records"]]
    return [(record["partitionKey"], base64.b64decode(record["data"])) for record in records]


@lru_cache(maxsize=10_000)
def judged(record: Record) -> list[Judged]:
    """What must become of a record: of each of its lines, or of all that are rejected together."""
    if other_form(record.data) is not None:
        return [Judged(record.record_id, record.data, None)]
    lines = record.data.removesuffix(b"\n").split(b"\n")
    rows = [read_line(line) for line in lines]
    latest_ns = record.arrived_ns + ArrivalLimits().ahead_ns
    each = [
        Judged(f"{record.record_id}:{number}", line, row if row and row.event_time_ns <= latest_ns else None)
        for number, (line, row) in enumerate(zip(lines, rows, strict=True))
    ]
    good = [one for one in each if one.row is not None]
    if len(each) - len(good) <= MAX_REJECTIONS_OF_RECORD:
        return each
    return [*good, Judged(record.record_id, record.data, None)]
