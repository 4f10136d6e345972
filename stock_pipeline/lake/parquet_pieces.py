"""Reads Parquet files a bounded number of rows at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

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
    """Yield the trades of a file in order, with the catalog's types."""
    for batch in parquet_pieces(path, rows, trade_schema().names):
        yield with_catalog_types(pa.Table.from_batches([batch]))


def with_catalog_types(table: pa.Table) -> pa.Table:
    """Cast to the types of `trade_schema`; nulls pass, other types raise an Arrow error."""
    return table.cast(pa.schema([field.with_nullable(True) for field in trade_schema()]))
