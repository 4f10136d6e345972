"""Outcome of a contender's batch, in a form that can be compared."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Shares
from stock_pipeline.trade_table import trade_schema


class SymbolView(NamedTuple):
    """View of a symbol in the realtime table, and its window (event id and price, oldest first)."""

    window: tuple[tuple[str, Decimal], ...]
    price: Decimal
    volume: Shares
    event_time_ns: int
    averages: tuple[Decimal, ...]


@dataclass(frozen=True)
class Outcome:
    """Result of one batch.

    files: one Parquet file a session date
    rejected: sequence numbers of records without a trade
    """

    files: tuple[bytes, ...]
    states: Mapping[SymbolKey, SymbolView]
    rejected: tuple[str, ...]


def differences(left: Outcome, right: Outcome) -> list[str]:
    """Return the names of the parts in which two outcomes differ."""
    found = []
    if not _rows(left.files).equals(_rows(right.files)):
        found.append("rows of the Parquet files")
    if left.states != right.states:
        found.append("states")
    if left.rejected != right.rejected:
        found.append("rejected records")
    return found


def _rows(files: Iterable[bytes]) -> pa.Table:
    """Return the rows in the stream's order, with the lake's types only."""
    tables = [pq.read_table(io.BytesIO(body)) for body in files]
    schema = trade_schema()
    return pa.concat_tables([table.select(schema.names).cast(schema).combine_chunks() for table in tables])
