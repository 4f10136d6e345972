"""Writes curated data files, so that Athena can read every encoding."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from stock_pipeline.lake.packed_rows import packed_schema

_ROW_GROUPS = 160
_FEWEST_ROWS, _MOST_ROWS = 16_384, 131_072

_DICTIONARY_COLUMNS = ["feed", "capture_mode", "symbol", "price", "volume", "exchange", "conditions", "tape", "status"]

_DELTA_COLUMNS = ("event_time", "event_time_ns")

_STATISTICS_COLUMNS = ["event_id", "symbol", "event_time", "event_time_ns", "sequence", "price", "session_date"]
"""Other columns have the same values in all row groups, so their bounds exclude none. A session's date excludes its
file from a query that names no partition.
"""


def row_group_rows(rows: int) -> int:
    """Return the rows of a row group where `rows` rows were read, repeats included.

    Small, because a query for one symbol reads its row groups whole; large enough to compress, and bounded by memory.
    """
    return max(_FEWEST_ROWS, min(_MOST_ROWS, rows // _ROW_GROUPS))


@contextmanager
def curated_writer(path: Path) -> Iterator[pq.ParquetWriter]:
    """Open a writer for `Packing.tables`."""
    with pq.ParquetWriter(
        path,
        packed_schema(),
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARY_COLUMNS,
        column_encoding=dict.fromkeys(_DELTA_COLUMNS, "DELTA_BINARY_PACKED"),
        write_statistics=_STATISTICS_COLUMNS,
        coerce_timestamps="us",
        store_schema=False,
    ) as writer:
        yield writer
