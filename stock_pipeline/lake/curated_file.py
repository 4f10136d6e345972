"""How a curated data file is written: row groups, encodings, compression. Every choice is one that Athena reads."""

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
"""Values of the others lie in all row groups alike, so their bounds would exclude none. A session's date excludes its
file from a query that names no partition."""


def row_group_rows(rows: int) -> int:
    """How many rows a row group has where `rows` rows were read, repeats included.

    Whoever asks for one symbol reads its row groups whole, so they are a small part of the session. They stay large
    enough to compress, and small enough to be held in memory.
    """
    return max(_FEWEST_ROWS, min(_MOST_ROWS, rows // _ROW_GROUPS))


@contextmanager
def curated_writer(path: Path) -> Iterator[pq.ParquetWriter]:
    """A writer of `Packing.tables`: zstd, a dictionary where values repeat, differences for times."""
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
