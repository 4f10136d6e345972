"""Contents of lake, queue, `failed/` and state after a load, measured from outside.

Raw files are read one by one; only 16 bytes of each row are kept. `report` compares the findings with the ledger.
"""

import base64
import io
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.lake_layout import FAILED_PREFIX, RAW_PREFIX, sequence_range_of_key
from stock_pipeline.domain.trade import SHARE_PARTS, shares_of
from stock_pipeline.errors import PermanentError
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.providers.simulator.ledger import HASH_MODULUS, HASHED_COLUMNS, LakeDigest, row_hash
from stock_pipeline.streaming.rejection_message import KIND as REJECTED_RECORD
from stock_pipeline.streaming.trade_json import is_trade


class OverlapError(PermanentError):
    """Two raw files share records, but neither has all of the other's: their rows can't be told apart."""


class SequenceRange(NamedTuple):
    """Records of one shard, first and last included."""

    shard_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class LakeFindings:
    """Contents of the raw zone.

    rows_written: rows of all raw files.
    rows_of_stream: without files whose records are all in another file, because batches are retried in parts.
    digest: of the distinct rows.
    """

    files: int
    rows_written: int
    rows_of_stream: int
    digest: LakeDigest
    ranges: tuple[SequenceRange, ...]


@dataclass(frozen=True, slots=True)
class QueueFindings:
    """Contents of the dead-letter queue.

    rejection_ids: the rejected lines.
    by_reason: counts of distinct payloads.
    """

    messages: int
    rejection_ids: frozenset[str]
    by_reason: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GivenUpRecord:
    """A record in `failed/`.

    shard_id, sequence_number: None if it never reached the stream.
    """

    partition_key: str
    data: bytes
    shard_id: str | None = None
    sequence_number: int | None = None

    @property
    def lines(self) -> list[bytes]:
        return self.data.split(b"\n")


def maximal_ranges(ranges: Sequence[SequenceRange]) -> list[SequenceRange]:
    """Return the ranges that no other one contains, in order.

    Raises `OverlapError` if two overlap otherwise, which one poller's batches never do, because it only splits them.
    """
    kept: list[SequenceRange] = []
    for found in sorted(set(ranges), key=lambda each: (each.shard_id, each.first, -each.last)):
        before = kept[-1] if kept and kept[-1].shard_id == found.shard_id else None
        if before is None or found.first > before.last:
            kept.append(found)
        elif found.last > before.last:
            raise OverlapError(f"raw files of {before} and {found} overlap: run one event source poller at a time")
    return kept


def read_lake(store: ObjectStore, on_file: Callable[[int], None] = lambda _rows: None) -> LakeFindings:
    """Read every raw file, one after the other."""
    keys: dict[SequenceRange, str] = {}
    for listed in store.list(RAW_PREFIX):
        covered = SequenceRange(*sequence_range_of_key(listed.key))
        if covered in keys:
            raise OverlapError(f"two raw files of {covered} differ: run one event source poller at a time")
        keys[covered] = listed.key
    ranges = maximal_ranges(list(keys))
    outermost = set(ranges)
    hashes: list[npt.NDArray[np.uint64]] = []
    parts: list[npt.NDArray[np.int64]] = []
    rows_of_stream = 0
    for covered, key in keys.items():
        table = pq.read_table(io.BytesIO(store.get(key)), columns=list(HASHED_COLUMNS), partitioning=None)
        hashes.append(_row_hashes(table))
        fractions = table["volume_fraction"].to_numpy().astype(np.int64)
        parts.append(pc.fill_null(table["volume"], 0).to_numpy() * SHARE_PARTS + fractions)
        rows_of_stream += table.num_rows if covered in outermost else 0
        on_file(table.num_rows)
    rows_written = sum(map(len, hashes))
    distinct, places = np.unique(np.concatenate(hashes or [np.empty(0, np.uint64)]), return_index=True)
    volume = shares_of(*divmod(int(np.concatenate(parts or [np.empty(0, np.int64)])[places].sum()), SHARE_PARTS))
    # unsigned integers of numpy wrap around, which is the modulus
    digest = LakeDigest(len(distinct), volume, int(distinct.sum(dtype=np.uint64)) % HASH_MODULUS)
    return LakeFindings(len(keys), rows_written, rows_of_stream, digest, tuple(ranges))


def read_queue(stack: LocalStack) -> QueueFindings:
    """Take every message out of the dead-letter queue, because moto reads the rest at each call."""
    sqs, url = stack.clients.sqs, stack.settings.require_dead_letter_queue_url()
    messages = 0
    rejection_ids: set[str] = set()
    reasons: dict[str, str] = {}
    while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        sqs.delete_message_batch(
            QueueUrl=url,
            Entries=[{"Id": str(n), "ReceiptHandle": entry["ReceiptHandle"]} for n, entry in enumerate(received)],
        )
        for message in map(json.loads, (entry["Body"] for entry in received)):
            messages += 1
            if message.get("kind") == REJECTED_RECORD:
                rejection_ids.add(message["rejection_id"])
                reasons[message["payload_base64"]] = message["reason"]
    return QueueFindings(messages, frozenset(rejection_ids), Counter(reasons.values()))


def given_up_records(store: ObjectStore) -> Iterator[GivenUpRecord]:
    """Yield every record in `failed/`: from the publisher, and from the event source mapping."""
    for listed in store.list(FAILED_PREFIX):
        document = json.loads(store.get(listed.key))
        if document.get("kind") == "unpublished_records":
            for record in document["records"]:
                yield GivenUpRecord(record["partition_key"], base64.b64decode(record["data_base64"]))
        else:
            for record in json.loads(document["payload"])["Records"]:
                kinesis = record["kinesis"]
                yield GivenUpRecord(
                    kinesis["partitionKey"],
                    base64.b64decode(kinesis["data"]),
                    record["eventID"].rpartition(":")[0],
                    int(kinesis["sequenceNumber"]),
                )


def given_up_lines(records: Iterator[GivenUpRecord], lake: LakeFindings, queue: QueueFindings) -> int:
    """Count the lines in `failed/` that are nowhere else.

    A batch may be given up after some of its effects are done: its trades come first, then its rejections.
    """
    ends = [(covered.shard_id, covered.first) for covered in lake.ranges]
    count = 0
    for record in records:
        if record.shard_id is None or record.sequence_number is None:
            count += len(record.lines)
            continue
        in_lake = False
        place = bisect_right(ends, (record.shard_id, record.sequence_number)) - 1
        if place >= 0:
            covered = lake.ranges[place]
            in_lake = covered.shard_id == record.shard_id and record.sequence_number <= covered.last
        record_id = f"{record.shard_id}:{record.sequence_number}"
        if record_id not in queue.rejection_ids:
            count += sum(
                f"{record_id}:{number}" not in queue.rejection_ids and not (in_lake and is_trade(line))
                for number, line in enumerate(record.lines)
            )
    return count


def state_items(stack: LocalStack) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the attributes of all items of the state table, by symbol and feed; numbers as decimals."""
    pages = stack.clients.dynamodb.get_paginator("scan").paginate(TableName=stack.settings.state_table_name)
    items = {}
    for page in pages:
        for item in page["Items"]:
            plain = {name: _plain(value) for name, value in item.items()}
            items[(plain["symbol"], plain["feed"])] = plain
    return items


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content


def _row_hashes(table: pa.Table) -> npt.NDArray[np.uint64]:
    table = table.set_column(
        table.column_names.index("price"), "price", pc.multiply(table["price"], 10**6).cast(pa.int64())
    )
    columns = [table[name].to_pylist() for name in HASHED_COLUMNS]
    return np.fromiter((row_hash(*row) for row in zip(*columns, strict=True)), np.uint64, count=table.num_rows)
