"""Reads Parquet files a bounded number of rows at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.lake.raw_file_gate import conformed
from stock_pipeline.trade_table import trade_schema


def parquet_pieces(
    path: Path, rows: int, columns: Sequence[str], dictionaries: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows in order, up to `rows` at a time.

    dictionaries: columns to leave as codes with their values.
    """
    # pre_buffer would keep the whole file in memory until the end
    with pq.ParquetFile(path, read_dictionary=dictionaries, pre_buffer=False) as file:
        yield from file.iter_batches(rows, columns=list(columns), use_threads=False)


def trade_pieces(path: Path, rows: int) -> Iterator[pa.Table]:
    """Yield the trades of an admitted file in order, in the types of `trade_schema`."""
    for batch in parquet_pieces(path, rows, trade_schema().names):
        yield conformed(pa.Table.from_batches([batch]))
