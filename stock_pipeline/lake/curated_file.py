"""How a curated data file is written: row groups, encodings, compression. Every choice is one that Athena reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from stock_pipeline.lake.packed_rows import packed_schema

ROW_GROUP_ROWS = 131_072
"""Small enough that one symbol's day is a small part of the file, large enough to compress (128k to 256k measured)."""

_DICTIONARY_COLUMNS = ["feed", "capture_mode", "symbol", "price", "exchange", "conditions", "tape", "status"]

_DELTA_COLUMNS = ("event_time", "event_time_ns")


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
        coerce_timestamps="us",
        store_schema=False,
    ) as writer:
        yield writer
