"""A rejected line or record: it is kept with its reason, and others go on."""

from dataclasses import dataclass
from enum import StrEnum

from stock_pipeline.domain.columns import Column

MAX_REJECTIONS_OF_RECORD = 100
"""Of a record with more the rejection is one, of the whole record."""

MAX_REJECTIONS_OF_BATCH = 1_000
"""Of a batch with more every record has one rejection at most. So many messages are sent in a second; a source that
misspells a field would make 10,000 of each batch, and sending them outlasts an invocation."""


class Reason(StrEnum):
    """Why a line was rejected; dimension of the `RejectedRecords` metric and of `redrive --reason`."""

    NOT_JSON = "not_json"
    """Not UTF-8, not JSON, or not one JSON object; or a record that is no lines of JSON."""
    SCHEMA = "schema"
    """JSON against the contract: a field is missing, unknown, repeated, or of the wrong type."""
    VALUE = "value"
    """Right types, but a value out of its limits."""
    FUTURE = "future"
    """A trade whose time is far ahead of its record's arrival (`domain.arrival`)."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejected line of one Kinesis record, or the whole record.

    payload: the bytes of the line or of the record.
    shard_id, sequence_number, line (from 0; None for the whole record): its identity.
    lines: number of rejected lines that it stands for.
    """

    reason: Reason
    detail: str
    payload: bytes
    shard_id: str
    sequence_number: str
    line: int | None
    partition_key: str
    arrival_time: float
    """Seconds since 1970-01-01 UTC, as Kinesis stamped it."""
    lines: int = 1

    @property
    def rejection_id(self) -> str:
        record_id = f"{self.shard_id}:{self.sequence_number}"
        return record_id if self.line is None else f"{record_id}:{self.line}"


REJECTION_COLUMNS: tuple[Column, ...] = (
    Column("rejection_id", "string", "Shard, sequence number and line: the same however often the line is read."),
    Column("reason", "string", "not_json, schema, value or future."),
    Column("detail", "string", "Which field, and what is wrong with it."),
    Column("payload", "string", "The line or record as text; bytes that are no UTF-8 are replaced."),
    Column("payload_base64", "string", "The line or record byte for byte."),
    Column("shard_id", "string", "Shard of the Kinesis record."),
    Column("sequence_number", "string", "Sequence number of the Kinesis record."),
    Column("line", "bigint", "Place in the record, from 0; null for the whole record."),
    Column("partition_key", "string", "Partition key of the Kinesis record."),
    Column("arrival_time", "timestamp", "When Kinesis took the record, UTC."),
)
"""The table `rejected_records`."""
