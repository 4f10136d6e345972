"""A batch's trades as raw files of the lake: one Parquet object a session date, named by its content."""

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

_NEARLY_EVEN = ("event_time", "event_time_ns", "sequence", "ingest_time")
"""Columns whose differences are small: a fifth of a file less, for no more CPU."""

_EXCLUDING = ["event_time_ns", "session_date"]
"""Columns whose bounds may exclude a file. A batch has all of the market in the others."""


class RawFile(NamedTuple):
    """An object of the raw zone. repeats: rows beyond the first of an event id."""

    key: str
    body: bytes
    rows: int
    repeats: int


def raw_files(batch: StreamBatch, trades: pa.Table) -> Iterator[RawFile]:
    """Yield the raw files of a batch: usually one, two around midnight in New York."""
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
    """Return the bytes' hash for an object's key: 16 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()[:16]


def parquet_bytes(table: pa.Table) -> bytes:
    """Return the table as zstd Parquet, with timestamps in microseconds, as Athena reads them."""
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
        column_encoding=dict.fromkeys(_NEARLY_EVEN, "DELTA_BINARY_PACKED"),
        write_statistics=_EXCLUDING,
    )
    return sink.getvalue()
