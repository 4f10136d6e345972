"""The books of the streaming path: what was handed over, what became of it, and what should have become of it.

The expected end is computed from the lines alone, here and in the oracle; nothing of the streaming path is used but the
strict decoder, which is the definition of what a trade is.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.streaming.trade_json import decode_trade
from tests.support.raw_files import read_trades

Line = tuple[str, bytes]
"""A partition key and a line, or several."""

Record = tuple[str, str, bytes]
"""Shard id, sequence number and data of a record of the stream."""


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
            f"{rejection_id} {line!r}"
            for rejection_id, record_id, line in _lines(records)
            if record_id not in self._given_up_records and not self._is_settled(rejection_id, line, lake)
        ]

    def _is_settled(self, rejection_id: str, line: bytes, lake: set[Trade]) -> bool:
        row = read_line(line)
        return self.rejected.get(rejection_id) == line if row is None else row in lake

    # What there should be

    def trades(self) -> set[Trade]:
        return {row for line in self.lines if (row := read_line(line)) is not None}

    def trades_never_given_up(self) -> set[Trade]:
        lines = set(self.lines) - self._given_up_lines
        return {row for line in lines if (row := read_line(line)) is not None}

    def rejections(self, records: Iterable[Record]) -> dict[str, bytes]:
        """What must be in the queue once all of these records were processed."""
        return {rejection_id: line for rejection_id, _, line in _lines(records) if read_line(line) is None}

    def rejections_never_given_up(self, records: Iterable[Record]) -> dict[str, bytes]:
        kept = [
            (shard, number, data)
            for shard, number, data in records
            if f"{shard}:{number}" not in self._given_up_records
        ]
        return self.rejections(kept)


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


def _lines(records: Iterable[Record]) -> Iterator[tuple[str, str, bytes]]:
    """(rejection id, record id, line) of every line; a newline at a record's end begins no line."""
    for shard_id, sequence_number, data in records:
        for number, line in enumerate(data.removesuffix(b"\n").split(b"\n")):
            yield f"{shard_id}:{sequence_number}:{number}", f"{shard_id}:{sequence_number}", line
