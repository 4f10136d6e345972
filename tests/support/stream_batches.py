"""Records and batches of a stream, the answers of a function, and the mapping that the pipeline has."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from stock_pipeline.local.event_source.function_runtime import UNHANDLED, Invocation
from stock_pipeline.local.event_source.mapping import Batch, EventSourceMapping
from stock_pipeline.local.event_source.shard_record import EventSource, ShardRecord, read_record
from tests.fakes.kinesis import STREAM_ARN
from tests.support.clock import START

MAPPING_FILE = Path(__file__).parents[2] / "infra/event_source_mapping.json"
MAPPING = EventSourceMapping.from_json(MAPPING_FILE.read_text())
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:processor"
SOURCE = EventSource(STREAM_ARN, "arn:aws:iam::123456789012:role/lambda-role")

ERROR = Invocation("id", function_error=UNHANDLED)
OK = Invocation("id", None)


def record(number: int, key: str = "k", data: bytes = b"{}", age_seconds: float = 0) -> ShardRecord:
    return read_record(
        SOURCE,
        "shardId-000000000000",
        {
            "SequenceNumber": str(number),
            "PartitionKey": key,
            "Data": data,
            "ApproximateArrivalTimestamp": START - timedelta(seconds=age_seconds),
        },
    )


def batch_of(count: int, **changes: Any) -> Batch:
    return replace(Batch(tuple(record(n) for n in range(100, 100 + count))), **changes)


def failing(*identifiers: Any) -> Invocation:
    return Invocation("id", {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]})


def numbers(batches: tuple[Batch, ...]) -> list[list[int]]:
    return [[int(each.sequence_number) for each in batch.records] for batch in batches]
