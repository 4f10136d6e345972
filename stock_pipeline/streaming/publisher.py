"""The publisher: trades into the stream, without loss when the stream refuses.

`PutRecords` answers for each record, and refused ones alone are put again after a pause. At the deadline, those left go
into the lake's `failed/` zone and are announced in the dead-letter queue, for redrive.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stock_pipeline.domain.lake_layout import unpublished_key
from stock_pipeline.domain.trade import Trade
from stock_pipeline.streaming.ports import AddressedObjects, DeadLetterQueue, Leftovers, Stream
from stock_pipeline.streaming.record_encoding import ENCODINGS, Encoding
from stock_pipeline.streaming.record_packing import PackedRecord, calls, pack, partition_key
from stock_pipeline.streaming.trade_json import encode_trade


@dataclass(frozen=True, slots=True)
class PublishReport:
    """Result of publishing lines. `lines == published + kept`."""

    lines: int
    records: int
    published: int
    kept: int
    retried_records: int

    def plus(self, other: "PublishReport") -> "PublishReport":
        return PublishReport(
            self.lines + other.lines,
            self.records + other.records,
            self.published + other.published,
            self.kept + other.kept,
            self.retried_records + other.retried_records,
        )


@dataclass(frozen=True)
class Publisher:
    """Publisher of trades, with everything it acts on.

    buckets: number of partition keys.
    wait: pauses before the given attempt (1, 2, …).
    encoding: of the records put.
    """

    stream: Stream
    leftovers: Leftovers
    buckets: int
    now_ns: Callable[[], int]
    wait: Callable[[int], None]
    encoding: Encoding = ENCODINGS["ndjson"]

    def publish(self, trades: Iterable[Trade], deadline_ns: int) -> PublishReport:
        """Pack and put trades until the deadline (by `now_ns`)."""
        return self.publish_lines(
            ((partition_key(trade.symbol, self.buckets), encode_trade(trade)) for trade in trades),
            deadline_ns,
        )

    def publish_lines(self, lines: Iterable[tuple[str, bytes]], deadline_ns: int) -> PublishReport:
        """Pack and put (partition key, line) pairs until the deadline."""
        total = PublishReport(0, 0, 0, 0, 0)
        packed = pack(lines, self.encoding.record_bytes)
        encoded = (record._replace(data=self.encoding.encode(record.data)) for record in packed)
        for group in calls(encoded):
            total = total.plus(self._put(group, deadline_ns))
        return total

    def _put(self, group: list[PackedRecord], deadline_ns: int) -> PublishReport:
        pending = group
        attempt = retried = 0
        reason = "the deadline passed before the first try"
        while pending and self.now_ns() < deadline_ns:
            if attempt:
                retried += len(pending)
                self.wait(attempt)
            errors = self.stream.put(pending)
            refused = [(record, error) for record, error in zip(pending, errors, strict=True) if error]
            pending = [record for record, _ in refused]
            reason = ", ".join(sorted({error for _, error in refused}))
            attempt += 1
        if pending:
            self.leftovers.keep(pending, reason)
        kept = sum(record.lines for record in pending)
        lines = sum(record.lines for record in group)
        return PublishReport(lines, len(group), lines - kept, kept, retried)


@dataclass(frozen=True)
class FailedZone:
    """`Leftovers` in the lake's `failed/` zone.

    Keeping the same records twice keeps one object, because objects are named by their content.
    """

    store: AddressedObjects
    queue: DeadLetterQueue

    def keep(self, records: Sequence[PackedRecord], reason: str) -> None:
        body = json.dumps(
            {
                "kind": "unpublished_records",
                "reason": reason,
                "records": [
                    {"partition_key": record.partition_key, "data_base64": b64encode(record.data).decode()}
                    for record in records
                ],
            }
        ).encode()
        key = unpublished_key(hashlib.sha256(body).hexdigest())
        self.store.put_if_absent(key, body)
        announcement = {
            "kind": "unpublished_records",
            "reason": reason,
            "document": self.store.uri(key),
            "lines": sum(record.lines for record in records),
        }
        self.queue.send([json.dumps(announcement).encode()])
