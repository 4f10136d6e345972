"""Trades as an Arrow table: the schema that `streaming` fills, and `lake` rewrites.

It stands below both because neither may import the other. Nothing here reads or writes anything.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stock_pipeline.domain.session import session_bounds_ns, session_date_of
from stock_pipeline.domain.trade import COLUMNS, FIELDS, Trade

_ARROW_TYPES = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "decimal(18,6)": pa.decimal128(18, 6),
}

_DAY_NS = 86_400 * 10**9


@lru_cache(maxsize=1)
def trade_schema() -> pa.Schema:
    """The columns of raw and curated files, in the catalog's order. Only `volume` may be null."""
    return pa.schema(
        [pa.field(column.name, _ARROW_TYPES[column.sql_type], nullable=column.name == "volume") for column in COLUMNS]
    )


@lru_cache(maxsize=1)
def record_schema() -> pa.Schema:
    """The fields of a trade as it travels in the stream (`domain.trade.Trade`), typed as in the lake."""
    lake = trade_schema()
    return pa.schema([lake.field(name) if name in lake.names else pa.field(name, pa.int64()) for name in FIELDS])


def table_of_trades(trades: Sequence[Trade]) -> pa.Table:
    """Trades as a table of `trade_schema`, in their order."""
    columns = {
        name: pa.array([getattr(trade, name) for trade in trades], record_schema().field(name).type) for name in FIELDS
    }
    return with_derived_columns(pa.table(columns, record_schema()))


def with_derived_columns(records: pa.Table) -> pa.Table:
    """A table of `record_schema` with event_time, ingest_time and session_date computed: `trade_schema`."""
    event_time_ns = records["event_time_ns"].to_numpy()
    ingest_time_ns = records["ingest_time_ns"].to_numpy()
    derived: dict[str, Any] = {
        "event_time": _microseconds(event_time_ns),
        "ingest_time": _microseconds(ingest_time_ns),
        "session_date": pa.array(session_days(event_time_ns), pa.int32()).cast(pa.date32()),
    }
    schema = trade_schema()
    return pa.table([derived[name] if name in derived else records[name] for name in schema.names], schema=schema)


def trades_of_table(table: pa.Table) -> list[Trade]:
    """The rows of a table of `trade_schema` as trades; ingest times come back cut to microseconds."""
    rows = table.append_column(
        "ingest_time_ns", pa.array(table["ingest_time"].cast(pa.int64()).to_numpy() * 1000, pa.int64())
    ).select(FIELDS)
    return [Trade(**row) for row in rows.to_pylist()]


def session_days(event_time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Session dates as days since 1970-01-01, the vectorised twin of `domain.session.session_date_of`."""
    if not len(event_time_ns):
        return np.empty(0, np.int32)
    sessions: set[date] = set()
    for utc_day in np.unique(event_time_ns // _DAY_NS).tolist():
        # midnight in New York lies inside each UTC day, so a UTC day touches two session dates
        sessions.add(session_date_of(utc_day * _DAY_NS))
        sessions.add(session_date_of((utc_day + 1) * _DAY_NS - 1))
    ordered = sorted(sessions)
    starts = np.array([session_bounds_ns(session)[0] for session in ordered], np.int64)
    days = np.array([(session - date(1970, 1, 1)).days for session in ordered], np.int32)
    return days[np.searchsorted(starts, event_time_ns, side="right") - 1]


def _microseconds(nanoseconds: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(nanoseconds // 1000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
