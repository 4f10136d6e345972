"""Parquet columns as the text that a CSV would have, exact, or as one that no check takes for a number."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stock_pipeline.errors import InputFileError

_BATCH_ROWS = 131_072
_EXACT_WHOLE = 2.0**53
_DIGITS = {pa.float32(): 7, pa.float16(): 3}
"""Significant digits of a decimal that survive a type: a shortest text with more stands for several decimals."""


def parquet_schema(path: Path) -> pa.Schema:
    """Return the columns of a Parquet file; raises `InputFileError`."""
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise InputFileError(f"{path} is Parquet in an archive: unpack it first, it is compressed by itself")
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise InputFileError(f"{path} can't be read to its end: {str(error).partition(chr(10))[0]}") from None


def parquet_batches(path: Path) -> Iterator[pl.DataFrame]:
    """Yield a file's rows as text, with their number as `line`; names of columns in lower case."""
    line = 1
    for piece in pq.ParquetFile(path).iter_batches(_BATCH_ROWS):
        names = [name.lower() for name in piece.schema.names]
        texts = pa.table([_text(column) for column in piece.columns], names=names)
        rows = pl.DataFrame(texts).with_row_index("line", line)
        line += rows.height
        yield rows.with_columns(pl.col("line").cast(pl.Int64))


def _text(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        # letters stand together and numbers apart, as in a file of text
        apart = "," if pa.types.is_integer(column.type.value_type) else ""
        return pc.binary_join(column.cast(pa.list_(pa.string())), apart)
    if not pa.types.is_floating(column.type):
        return column.cast(pa.string())
    # Arrow writes a float by its shortest text: a float32 157.04 is 157.04
    text = column.cast(pa.string())
    if column.type in _DIGITS:
        digits = pc.utf8_trim(pc.replace_substring_regex(text, r"[eE].*$|[.\-]", ""), "0")
        return pc.if_else(
            pc.less_equal(pc.utf8_length(digits), _DIGITS[column.type]),
            text,
            pc.binary_join_element_wise(text, str(column.type), " in "),
        )
    # it writes 1930000000000001.0 with an exponent, which no sequence number has
    whole = pc.and_(pc.less(pc.abs(column), _EXACT_WHOLE), pc.equal(column, pc.floor(column)))
    return pc.if_else(
        pc.fill_null(whole, False), pc.if_else(whole, column, None).cast(pa.int64()).cast(pa.string()), text
    )
