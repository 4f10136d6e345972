"""The event that Lambda receives from Kinesis, as values. Nothing is judged here but the event's own form."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class StreamRecord(NamedTuple):
    """One Kinesis record: NDJSON of trades of one partition key."""

    sequence_number: str
    partition_key: str
    data: bytes
    arrival_time: float
    """Seconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """The records of one invocation, all of one shard, in the shard's order."""

    shard_id: str
    records: tuple[StreamRecord, ...]

    @property
    def first_sequence(self) -> str:
        return self.records[0].sequence_number

    @property
    def last_sequence(self) -> str:
        return self.records[-1].sequence_number


def parse_kinesis_event(event: Mapping[str, Any]) -> StreamBatch:
    """The batch in an event of a Kinesis event source mapping; `ValueError` if it is some other event."""
    try:
        records = event["Records"]
        shard_ids = {record["eventID"].partition(":")[0] for record in records}
        parsed = tuple(_record(record["kinesis"]) for record in records)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an event of a Kinesis event source mapping: {error!r}") from None
    if len(shard_ids) != 1:
        raise ValueError(f"a Kinesis event has the records of one shard, this one of {len(shard_ids)}")
    return StreamBatch(shard_ids.pop(), parsed)


def _record(kinesis: Mapping[str, Any]) -> StreamRecord:
    # in the order of the fields: naming them costs a tenth of the whole batch where each record is one trade
    return StreamRecord(
        kinesis["sequenceNumber"],
        kinesis["partitionKey"],
        binascii.a2b_base64(kinesis["data"]),
        float(kinesis["approximateArrivalTimestamp"]),
    )
