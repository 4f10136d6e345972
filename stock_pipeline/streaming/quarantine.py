"""Rejected lines as a Parquet file of the quarantine: the table `rejected_records`, for whoever asks what broke.

The queue holds the same lines for redrive; a file here is never read back by the pipeline.
"""

import base64
from collections.abc import Sequence

import pyarrow as pa

from stock_pipeline.domain.rejection import REJECTION_COLUMNS, Rejection
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import column_of

_ARROW_TYPES = {"string": pa.string(), "bigint": pa.int64(), "timestamp": pa.timestamp("us", tz="UTC")}


def quarantine_file(rejections: Sequence[Rejection]) -> bytes:
    """One row a rejected line, in the catalog's columns."""
    schema = pa.schema([(column.name, _ARROW_TYPES[column.sql_type]) for column in REJECTION_COLUMNS])
    rows: list[dict[str, str | int]] = [
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
