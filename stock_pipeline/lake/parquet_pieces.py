"""Reading a Parquet file of any size a bounded number of rows at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def parquet_pieces(
    path: Path, rows: int, columns: Sequence[str], dictionaries: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The file's rows in order, so many at a time. dictionaries: columns to leave as codes with their values."""
    # pre_buffer keeps what it read ahead until the end: all of the file
    with pq.ParquetFile(path, read_dictionary=dictionaries, pre_buffer=False) as file:
        yield from file.iter_batches(rows, columns=list(columns), use_threads=False)
