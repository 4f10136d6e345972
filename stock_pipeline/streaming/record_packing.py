"""Packing lines of trades into Kinesis records.

A record has newline-delimited lines of one partition key. Packing is cheap, because on-demand billing rounds a record
up to 1 KB, and a shard takes 1,000 records a second of any size.
"""

import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

RECORD_BYTES = 25 * 1024
"""A provisioned shard bills in units of 25 KB, and a broken line affects no more than this."""

RECORD_LINES = 1_000
"""What is broken in a record that is compressed affects all of its lines."""

CALL_RECORDS = 500
CALL_BYTES = 5 * 1024 * 1024
"""The limits of one PutRecords call, partition keys included (Kinesis API reference, PutRecords)."""


class PackedRecord(NamedTuple):
    """A Kinesis record and its number of lines."""

    partition_key: str
    data: bytes
    lines: int

    @property
    def size(self) -> int:
        return len(self.data) + len(self.partition_key)


@lru_cache(maxsize=65_536)
def partition_key(symbol: str, buckets: int) -> str:
    """Return the symbol's bucket. Quiet symbols share records."""
    return f"bucket-{zlib.crc32(symbol.encode()) % buckets:04}"


def pack(lines: Iterable[tuple[str, bytes]], record_bytes: int = RECORD_BYTES) -> Iterator[PackedRecord]:
    """Yield records of (partition key, line) pairs, each of one key, at most `record_bytes` long and of `RECORD_LINES`.

    Lines keep their order within a key. A longer line gets its own record, because the processor judges it.
    """
    open_records: dict[str, list[bytes]] = {}
    sizes: dict[str, int] = {}  # with a newline after every line, also the last
    for key, line in lines:
        parts = open_records.get(key)
        if parts is None:
            open_records[key], sizes[key] = [line], len(line) + 1
            continue
        size = sizes[key] + len(line) + 1
        if size - 1 <= record_bytes and len(parts) < RECORD_LINES:
            parts.append(line)
            sizes[key] = size
        else:
            yield _record(key, parts)
            open_records[key], sizes[key] = [line], len(line) + 1
    for key, parts in open_records.items():
        yield _record(key, parts)


def calls(records: Iterable[PackedRecord]) -> Iterator[list[PackedRecord]]:
    """Yield records in groups that one PutRecords call takes."""
    group: list[PackedRecord] = []
    size = 0
    for record in records:
        if group and (len(group) == CALL_RECORDS or size + record.size > CALL_BYTES):
            yield group
            group, size = [], 0
        group.append(record)
        size += record.size
    if group:
        yield group


def _record(key: str, parts: list[bytes]) -> PackedRecord:
    return PackedRecord(key, b"\n".join(parts), len(parts))
