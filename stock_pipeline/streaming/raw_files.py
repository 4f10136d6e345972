"""A batch's trades as raw lake files: one Parquet object per session date, named by what it holds."""

import hashlib
import io
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stock_pipeline.domain.lake_layout import raw_key
from stock_pipeline.streaming.kinesis_event import StreamBatch


class RawFile(NamedTuple):
    """An object to put into the raw zone, if its key is not there yet. `repeats`: rows beyond one an event id."""

    key: str
    body: bytes
    rows: int
    repeats: int


def raw_files(batch: StreamBatch, trades: pa.Table) -> Iterator[RawFile]:
    """The raw objects of a decoded batch: usually one, two around midnight in New York."""
    session_dates: list[date] = sorted(pc.unique(trades["session_date"]).to_pylist())
    for session_date in session_dates:
        rows = trades
        if len(session_dates) > 1:
            rows = trades.filter(pc.equal(trades["session_date"], pa.scalar(session_date)))
        body = parquet_bytes(rows)
        key = raw_key(session_date, batch.shard_id, batch.first_sequence, batch.last_sequence, content_hash(body))
        repeats = rows.num_rows - pc.count_distinct(rows["event_id"]).as_py()
        yield RawFile(key, body, rows.num_rows, repeats)


def content_hash(body: bytes) -> str:
    """16 hexadecimal digits that stand for these bytes, in an object's key."""
    return hashlib.sha256(body).hexdigest()[:16]


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as one zstd Parquet file; timestamps in microseconds, as Athena reads them."""
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=[
            "feed",
            "symbol",
            "exchange",
            "conditions",
            "tape",
            "status",
            "capture_mode",
            "price",
        ],
        coerce_timestamps="us",
    )
    return sink.getvalue()
