"""What a contender made of a batch, in a form that two contenders can be compared in."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.trade_table import trade_schema


class SymbolView(NamedTuple):
    """What the realtime table shows of a symbol, and the window it follows from (event id and price, oldest first)."""

    window: tuple[tuple[str, Decimal], ...]
    price: Decimal
    volume: int
    event_time_ns: int
    averages: tuple[Decimal, ...]


@dataclass(frozen=True)
class Outcome:
    """files: one Parquet file a session date. rejected: the sequence numbers of records that hold no trade."""

    files: tuple[bytes, ...]
    states: Mapping[SymbolKey, SymbolView]
    rejected: tuple[str, ...]


def differences(left: Outcome, right: Outcome) -> list[str]:
    """In what two outcomes differ; nothing if they are equal."""
    found = []
    if not _rows(left.files).equals(_rows(right.files)):
        found.append("rows of the Parquet files")
    if left.states != right.states:
        found.append("states")
    if left.rejected != right.rejected:
        found.append("rejected records")
    return found


def _rows(files: Iterable[bytes]) -> pa.Table:
    """The rows in the order of the stream, with the lake's types and nothing of what a writer adds."""
    tables = [pq.read_table(io.BytesIO(body)) for body in files]
    schema = trade_schema()
    return pa.concat_tables([table.select(schema.names).cast(schema).combine_chunks() for table in tables])
