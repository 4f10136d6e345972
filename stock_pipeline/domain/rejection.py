"""A rejected line: it is kept with its reason, and other lines go on."""

from dataclasses import dataclass
from enum import StrEnum

from stock_pipeline.domain.columns import Column

MAX_REJECTIONS_OF_RECORD = 1_000
"""Of more, one rejection is made. A full record of trades has some 3,600 lines. A million newlines must not become a
million messages, because sending them outlasts an invocation."""


class Reason(StrEnum):
    """Why a line was rejected; dimension of the `RejectedRecords` metric and of `redrive --reason`."""

    NOT_JSON = "not_json"
    """Not UTF-8, not JSON, or not one JSON object."""
    SCHEMA = "schema"
    """JSON against the contract: a field is missing, unknown, repeated, or of the wrong type."""
    VALUE = "value"
    """Right types, but a value out of its limits."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejected line of one Kinesis record.

    payload: the line's bytes.
    shard_id, sequence_number, line (from 0): its identity.
    """

    reason: Reason
    detail: str
    payload: bytes
    shard_id: str
    sequence_number: str
    line: int
    partition_key: str
    arrival_time: float
    """Seconds since 1970-01-01 UTC, as Kinesis stamped it."""

    @property
    def rejection_id(self) -> str:
        return f"{self.shard_id}:{self.sequence_number}:{self.line}"


REJECTION_COLUMNS: tuple[Column, ...] = (
    Column("rejection_id", "string", "Shard, sequence number and line: the same however often the line is read."),
    Column("reason", "string", "not_json, schema or value."),
    Column("detail", "string", "Which field, and what is wrong with it."),
    Column("payload", "string", "The line as text; bytes that are no UTF-8 are replaced."),
    Column("payload_base64", "string", "The line byte for byte."),
    Column("shard_id", "string", "Shard of the Kinesis record."),
    Column("sequence_number", "string", "Sequence number of the Kinesis record."),
    Column("line", "bigint", "Place in the record, from 0."),
    Column("partition_key", "string", "Partition key of the Kinesis record."),
    Column("arrival_time", "timestamp", "When Kinesis took the record, UTC."),
)
"""The table `rejected_records`."""
