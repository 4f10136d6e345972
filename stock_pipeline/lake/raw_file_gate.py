"""The gate of raw files: which files are trades in the declared columns, judged by each file's footer alone.

A file is judged by itself, whatever lies beside it. Both engines ask the gate, so they take in the same files.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.columns import Column
from stock_pipeline.domain.trade import COLUMNS, NULLABLE_COLUMN, SCHEMA_VERSION
from stock_pipeline.trade_table import SCHEMA_VERSION_KEY, trade_schema

_NUMBER = re.compile(rb"[1-9]\d{0,5}")


class Verdict(NamedTuple):
    """What the gate says of a file.

    rows: by its footer.
    version: the schema version that it says.
    refused: why it is not admitted, or "".
    missing: declared columns that it lacks because it is older; they get their defaults.
    extra: columns that nobody declared; they are ignored.
    widened: columns of a narrower type than the declared one.
    """

    rows: int
    version: int = 1
    refused: str = ""
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()


def judge_file(footer: pq.FileMetaData) -> Verdict:
    """Judge a file by its footer."""
    schema = footer.schema.to_arrow_schema()
    version = _version(footer)
    return _judge_schema(schema.remove_metadata(), version)._replace(rows=footer.num_rows, version=version)


def conformed(table: pa.Table) -> pa.Table:
    """Return an admitted file's rows in the types of `trade_schema`: defaults filled in, undeclared columns left out.

    Nulls pass. Raises an Arrow error if a value does not fit into the declared type.
    """
    columns = [
        table[column.name].cast(field.type)
        if column.name in table.column_names
        else pa.chunked_array([pa.repeat(pa.scalar(column.default, field.type), table.num_rows)])
        for column, field in zip(COLUMNS, trade_schema(), strict=True)
    ]
    return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in trade_schema()]))


def ignored_columns(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    return tuple(sorted({name for verdict in verdicts for name in verdict.extra}))


@lru_cache(maxsize=256)
def _judge_schema(schema: pa.Schema, version: int) -> Verdict:
    missing, widened = [], []
    for column in COLUMNS:
        places = schema.get_all_field_indices(column.name)
        if len(places) > 1:
            return _refused(f"it has {len(places)} columns {column.name}")
        declared = trade_schema().field(column.name).type
        if not places:
            if column.since <= version:
                return _refused(_lacks(column, version))
            missing.append(column.name)
        elif (found := schema.field(places[0]).type) != declared:
            if not _widens(found, declared, nullable=column.name == NULLABLE_COLUMN):
                return _refused(f"its column {column.name} is {found}, not {declared}")
            if not pa.types.is_timestamp(found):  # Athena writes other units without a zone, and reads both
                widened.append(column.name)
    extra = tuple(name for name in schema.names if name not in trade_schema().names)
    return Verdict(0, missing=tuple(missing), extra=extra, widened=tuple(widened))


def _refused(reason: str) -> Verdict:
    return Verdict(0, refused=reason)


def _lacks(column: Column, version: int) -> str:
    if column.since == 1:
        return f"it has no column {column.name}"
    return f"it says schema version {version}, but has no column {column.name}"


def _version(footer: pq.FileMetaData) -> int:
    """Return the schema version that the file says.

    A file that says none is of the first. One that says nonsense is held to ours.
    """
    text = (footer.metadata or {}).get(SCHEMA_VERSION_KEY, b"1")
    return int(text) if _NUMBER.fullmatch(text) else SCHEMA_VERSION


def _widens(found: pa.DataType, declared: pa.DataType, nullable: bool) -> bool:
    """Tell if every value of the one type is a value of the other."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if found == declared:
        return True
    if pa.types.is_null(found):
        return nullable
    if pa.types.is_string(declared):
        return bool(pa.types.is_large_string(found) or pa.types.is_string_view(found))
    if pa.types.is_timestamp(declared):
        return bool(pa.types.is_timestamp(found))
    if pa.types.is_integer(declared):
        if pa.types.is_unsigned_integer(found):
            return bool(found.bit_width < declared.bit_width)
        return bool(pa.types.is_signed_integer(found) and found.bit_width <= declared.bit_width)
    if pa.types.is_decimal(declared):
        return bool(
            pa.types.is_decimal(found)
            and found.scale <= declared.scale
            and found.precision - found.scale <= declared.precision - declared.scale
        )
    return False
