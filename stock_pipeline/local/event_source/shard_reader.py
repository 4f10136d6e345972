"""Reading one shard in order: its iterators, where to go on, and its end.

When to read, and what follows a failed read, is decided in `shard_consumer`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from stock_pipeline.local.event_source.machine import Machine
from stock_pipeline.local.event_source.shard_record import EventSource, ShardRecord, read_record

EXPIRED_ITERATOR = "ExpiredIteratorException"
RETRYABLE_READS = frozenset(
    {
        EXPIRED_ITERATOR,
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "InternalFailure",
        "ServiceUnavailable",
    }
)


class KinesisClient(Protocol):
    """Used part of boto3's Kinesis client."""

    @property
    def list_shards(self) -> Any: ...

    @property
    def get_shard_iterator(self) -> Any: ...

    @property
    def get_records(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class ShardRead:
    """Result of one read.

    at_tip: the shard had nothing more to give.
    """

    records: list[ShardRecord]
    at_tip: bool


class ShardReader:
    """Records of one shard, each read once."""

    def __init__(
        self,
        kinesis: KinesisClient,
        source: EventSource,
        shard_id: str,
        starting_position: str,
        last_read: str | None,
        machine: Machine,
    ) -> None:
        """Begin after the sequence number `last_read`, or at the starting position without one."""
        self._kinesis = kinesis
        self._source = source
        self._shard_id = shard_id
        self._starting_position = starting_position
        self._last_read = last_read
        self._machine = machine
        self._began_at: datetime | None = None
        self._iterator: str | None = None
        self._at_end = False

    @property
    def at_end(self) -> bool:
        """Return whether the shard is closed and all of it was read."""
        return self._at_end

    def read(self, limit: int) -> ShardRead:
        """Read up to so many records. The client's errors pass through; reading can go on after them."""
        try:
            answer = self._get_records(limit)
        except Exception as error:
            if _error_code(error) == EXPIRED_ITERATOR:
                self._iterator = None
            raise
        records = [read_record(self._source, self._shard_id, record) for record in answer["Records"]]
        if records:
            self._last_read = records[-1].sequence_number
        self._iterator = answer.get("NextShardIterator")
        self._at_end = self._iterator is None
        # MillisBehindLatest alone is not enough: emulators round the last millisecond of records away.
        return ShardRead(records, at_tip=not records and answer["MillisBehindLatest"] == 0)

    def _get_records(self, limit: int) -> Any:
        if self._iterator is None:
            position = self._position()
            self._began_at = self._began_at or self._machine.now()
            self._iterator = self._kinesis.get_shard_iterator(**position)["ShardIterator"]
        return self._kinesis.get_records(ShardIterator=self._iterator, Limit=limit)

    def _position(self) -> dict[str, Any]:
        # By name: iterators that moto makes for an ARN find no stream.
        shard = {"StreamName": self._source.stream_name, "ShardId": self._shard_id}
        if self._last_read is not None:
            after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._last_read}
            return shard | after
        if self._starting_position == "LATEST" and self._began_at is not None:
            # LATEST asked for again would be later, and skip the records in between.
            return shard | {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._began_at}
        return shard | {"ShardIteratorType": self._starting_position}


def is_retryable(error: Exception) -> bool:
    """Return whether a later read may succeed."""
    return _error_code(error) in RETRYABLE_READS


def _error_code(error: Exception) -> str | None:
    response = getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
