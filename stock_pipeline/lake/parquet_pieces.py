"""Reads Parquet files a bounded number of rows at a time."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.errors import StockPipelineError
from stock_pipeline.lake.raw_file_gate import conformed
from stock_pipeline.trade_table import trade_schema

Piece = TypeVar("Piece")

BROKEN_FILE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,  # no `Exception`
    pa.ArrowException,
    OSError,
    UnicodeDecodeError,
)
"""What a broken file makes polars and Arrow raise."""


def parquet_pieces(path: Path, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows in order, up to `rows` at a time, by Arrow."""
    # pre_buffer would keep the whole file in memory until the end
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(rows, columns=list(columns), use_threads=False)


def file_slices(path: Path, rows: int, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the file's rows in order, up to `rows` at a time, by polars, which decodes twice as fast."""
    file = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(columns)
    for start in range(0, pq.read_metadata(path).num_rows, rows):
        yield file.slice(start, rows).collect()


def trade_pieces(path: Path, rows: int) -> Iterator[pa.Table]:
    """Yield the trades of an admitted file in order, in the types of `trade_schema`."""
    for batch in parquet_pieces(path, rows, trade_schema().names):
        table = conformed(pa.Table.from_batches([batch]))
        table.validate(full=True)  # Arrow reads texts that are no UTF-8, and polars panics on them
        yield table


def named(pieces: Iterator[Piece], error_of: Callable[[str], StockPipelineError]) -> Iterator[Piece]:
    """Yield the pieces; raise `error_of` the reason if the file is broken."""
    try:
        yield from pieces
    except BROKEN_FILE as error:
        raise error_of(one_line(error)) from error


def one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
