"""Writes curated data files, so that Athena can read every encoding."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from stock_pipeline.lake.packed_rows import packed_schema

PIECE_ROWS = 131_072
PIECES_A_GROUP = 8
"""So many that a group's columns lie more than a megabyte apart, because Trino also fetches smaller gaps. One symbol's
pages are found by the page index.
"""

_PAGE_BYTES = 131_072

_DICTIONARY_COLUMNS = [
    "feed",
    "capture_mode",
    "symbol",
    "price",
    "volume",
    "volume_fraction",
    "exchange",
    "conditions",
    "tape",
    "status",
]

_DELTA_COLUMNS = ("event_time", "event_time_ns")

_STATISTICS_COLUMNS = ["event_id", "symbol", "event_time", "event_time_ns", "sequence", "price", "session_date"]
"""Other columns have the same values in all pages, so their bounds exclude none. A session's date excludes its file
from a query that names no partition.
"""


@contextmanager
def curated_writer(path: Path) -> Iterator[pq.ParquetWriter]:
    """Open a writer that makes a row group of each table of `Packing.tables`."""
    with pq.ParquetWriter(
        path,
        packed_schema(),
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARY_COLUMNS,
        column_encoding=dict.fromkeys(_DELTA_COLUMNS, "DELTA_BINARY_PACKED"),
        write_statistics=_STATISTICS_COLUMNS,
        write_page_index=True,
        data_page_size=_PAGE_BYTES,
        coerce_timestamps="us",
        store_schema=False,
    ) as writer:
        yield writer
