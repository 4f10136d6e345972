"""A Kinesis record as the poller reads it, and the event JSON of a batch.

The content of a record belongs to the processor.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

EMPTY_EVENT_BYTES = len('{"Records":[]}')


@dataclass(frozen=True, slots=True)
class EventSource:
    """The stream, and the role that reads it, as events name them."""

    stream_arn: str
    role_arn: str

    @property
    def stream_name(self) -> str:
        return self.stream_arn.rsplit("/", 1)[1]

    @property
    def region(self) -> str:
        return self.stream_arn.split(":")[3]


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """Record of one shard.

    event_bytes: its length inside the event's JSON, with the data in base64.
    """

    sequence_number: str
    partition_key: str
    data: bytes
    arrived_at: datetime
    event_bytes: int


def read_record(source: EventSource, shard_id: str, answer: Mapping[str, Any]) -> ShardRecord:
    """Return the record of one entry of a GetRecords answer."""
    data: bytes = answer["Data"]
    without_data = ShardRecord(
        sequence_number=answer["SequenceNumber"],
        partition_key=answer["PartitionKey"],
        data=b"",
        arrived_at=answer["ApproximateArrivalTimestamp"].astimezone(UTC),
        event_bytes=0,
    )
    base64_bytes = (len(data) + 2) // 3 * 4
    envelope_bytes = len(event_json(_record_json(source, shard_id, without_data)))
    return replace(without_data, data=data, event_bytes=envelope_bytes + base64_bytes)


def kinesis_event(source: EventSource, shard_id: str, records: Sequence[ShardRecord]) -> dict[str, Any]:
    """Return the event of a batch, made of new objects because handlers may change it."""
    return {"Records": [_record_json(source, shard_id, record) for record in records]}


def event_json(event: Mapping[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))


def event_bytes(records: Sequence[ShardRecord]) -> int:
    """Return the length of the JSON of `kinesis_event` without making it."""
    commas = max(0, len(records) - 1)
    return EMPTY_EVENT_BYTES + sum(record.event_bytes for record in records) + commas


def _record_json(source: EventSource, shard_id: str, record: ShardRecord) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key,
            "sequenceNumber": record.sequence_number,
            "data": base64.b64encode(record.data).decode("ascii"),
            "approximateArrivalTimestamp": round(record.arrived_at.timestamp(), 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{record.sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": source.role_arn,
        "awsRegion": source.region,
        "eventSourceARN": source.stream_arn,
    }
