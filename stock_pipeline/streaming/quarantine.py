"""Rejected lines as a Parquet file of the table `rejected_records`.

The dead-letter queue has the same lines for redrive; the pipeline never reads these files back.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import pyarrow as pa

from stock_pipeline.domain.lake_layout import quarantine_key
from stock_pipeline.domain.rejection import REJECTION_COLUMNS, Rejection
from stock_pipeline.streaming.kinesis_event import StreamBatch
from stock_pipeline.streaming.raw_files import content_hash, parquet_bytes
from stock_pipeline.trade_table import column_of

_ARROW_TYPES = {"string": pa.string(), "bigint": pa.int64(), "timestamp": pa.timestamp("us", tz="UTC")}


class QuarantineFile(NamedTuple):
    """An object of the quarantine."""

    key: str
    body: bytes


def quarantine_file(batch: StreamBatch, rejections: Sequence[Rejection]) -> QuarantineFile:
    """Return the object of a batch's rejected lines, dated by the arrival of the first."""
    body = rejections_parquet(rejections)
    arrival_date = datetime.fromtimestamp(rejections[0].arrival_time, UTC).date()
    key = quarantine_key(arrival_date, batch.shard_id, batch.first_sequence, batch.last_sequence, content_hash(body))
    return QuarantineFile(key, body)


def rejections_parquet(rejections: Sequence[Rejection]) -> bytes:
    """Return the lines as Parquet, a row each, in the catalog's columns."""
    schema = pa.schema([(column.name, _ARROW_TYPES[column.sql_type]) for column in REJECTION_COLUMNS])
    rows: list[dict[str, str | int | None]] = [
        {
            "rejection_id": rejection.rejection_id,
            "reason": str(rejection.reason),
            "detail": rejection.detail,
            "payload": rejection.payload.decode("utf-8", "replace"),
            "payload_base64": base64.b64encode(rejection.payload).decode(),
            "shard_id": rejection.shard_id,
            "sequence_number": rejection.sequence_number,
            "line": rejection.line,
            "partition_key": rejection.partition_key,
            "arrival_time": int(rejection.arrival_time * 1_000_000),
        }
        for rejection in rejections
    ]
    columns = [column_of([row[field.name] for row in rows], field.type) for field in schema]
    return parquet_bytes(pa.table(columns, schema=schema))
