"""Trades as an Arrow table: the schema, and conversions between rows and columns.

`streaming` and `lake` share it here, because neither may import the other. Nothing is read or written. Conversions go
by buffers: Arrow's own `to_numpy` and `array` import pandas wherever it is installed, which takes a second.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.feed_session import SessionRule, rule_session_bounds_ns, rule_session_date, session_rule
from stock_pipeline.domain.trade import (
    COLUMNS,
    FIELDS,
    MAX_INT64,
    NULLABLE_COLUMN,
    PRICE_SCALE,
    SCHEMA_VERSION,
    SHARE_PARTS,
    Trade,
    price_units,
    share_columns,
    shares_of,
)

_ARROW_TYPES = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "decimal(18,6)": pa.decimal128(18, 6),
}

SCHEMA_VERSION_KEY = b"stock_pipeline.schema_version"
"""Of the schema version in a raw file's footer."""

RECORD_VOLUME = pa.decimal128(25, 6)
"""A volume in one piece: all digits that a record may have."""

MOST_SHARES_AT_ONCE = MAX_INT64 // SHARE_PARTS
"""The largest volume whose parts of a share fit 64 bits; greater ones are decoded line by line."""

_VOLUME = FIELDS.index("volume")

_DAY_NS = 86_400 * 10**9


@lru_cache(maxsize=1)
def trade_schema() -> pa.Schema:
    """Return the columns of raw and curated files, in the catalog's order. Only `NULLABLE_COLUMN` may be null.

    A file of this schema says its version.
    """
    return pa.schema(
        [
            pa.field(column.name, _ARROW_TYPES[column.sql_type], nullable=column.name == NULLABLE_COLUMN)
            for column in COLUMNS
        ],
        metadata={SCHEMA_VERSION_KEY: str(SCHEMA_VERSION)},
    )


@lru_cache(maxsize=1)
def record_schema() -> pa.Schema:
    """Return the fields of a trade in the stream (`domain.trade.Trade`), typed as in the lake, but for its volume."""
    lake = trade_schema()
    kinds = {name: lake.field(name).type if name in lake.names else pa.int64() for name in FIELDS}
    return pa.schema([pa.field(name, kind) for name, kind in (kinds | {"volume": RECORD_VOLUME}).items()])


def table_of_trades(trades: Iterable[Trade]) -> pa.Table:
    """Return trades as a table of `trade_schema`, in their order."""
    return table_of_rows([fields_of(trade) for trade in trades])


def table_of_rows(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return rows of values in the order of `FIELDS` as a table of `trade_schema`."""
    schema = record_schema()
    values = list(zip(*rows, strict=True)) if rows else [()] * len(FIELDS)
    volumes = [share_columns(volume) for volume in values[_VOLUME]]
    columns = {
        name: column_of(column, kind)
        for name, column, kind in zip(schema.names, values, schema.types, strict=True)
        if name != "volume"
    }
    columns["volume"] = column_of([whole for whole, _ in volumes], pa.int64())
    columns["volume_fraction"] = column_of([fraction for _, fraction in volumes], pa.int32())
    return _with_derived_columns(pa.table(columns))


fields_of: Any = attrgetter(*FIELDS)
"""Returns a trade's values in the order of `FIELDS`."""


def with_derived_columns(records: pa.Table) -> pa.Table:
    """Return the table of `trade_schema` of one of `record_schema`: times, dates, and a volume's two columns.

    No volume may be null or above `MOST_SHARES_AT_ONCE`.
    """
    parts = _fixed_width(records["volume"], np.dtype(np.int64), per_value=2)[::2]
    whole = parts // SHARE_PARTS
    fraction = (parts - whole * SHARE_PARTS).astype(np.int32)
    records = records.drop_columns(["volume"])
    records = records.append_column("volume", array_of(whole, pa.int64()))
    return _with_derived_columns(records.append_column("volume_fraction", array_of(fraction, pa.int32())))


def _with_derived_columns(records: pa.Table) -> pa.Table:
    event_time_ns = int64_values(records["event_time_ns"])
    ingest_time_ns = int64_values(records["ingest_time_ns"])
    derived: dict[str, Any] = {
        "event_time": _microseconds(event_time_ns),
        "ingest_time": _microseconds(ingest_time_ns),
        "session_date": array_of(session_days(event_time_ns, records["feed"]), pa.date32()),
    }
    schema = trade_schema()
    return pa.table([derived[name] if name in derived else records[name] for name in schema.names], schema=schema)


def trades_of_table(table: pa.Table) -> list[Trade]:
    """Return the rows of a table of `trade_schema` as trades, ingest times cut to microseconds."""
    ingest_time_ns = (int64_values(table["ingest_time"]) * 1000).tolist()
    known = {"ingest_time_ns": ingest_time_ns, "volume": _volumes(table)}
    columns = [known[name] if name in known else _values(table[name]) for name in FIELDS]
    return [Trade(*row) for row in zip(*columns, strict=True)]


def int64_values(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the values of a 64-bit column without nulls."""
    return _fixed_width(column, np.dtype(np.int64))


def int64_values_or(column: pa.ChunkedArray, absent: int) -> npt.NDArray[np.int64]:
    """Return the values of a 64-bit column, with `absent` in the place of nulls."""
    values = _fixed_width(column, np.dtype(np.int64))
    if not column.null_count:
        return values
    is_null = np.concatenate([_nulls(chunk) for chunk in column.chunks])
    return np.where(is_null, absent, values)


def int32_values(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Return the values of a 32-bit column without nulls."""
    return _fixed_width(column, np.dtype(np.int32))


def price_units_of(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return prices in millionths of a dollar: decimal(18, 6) fits the lower half of Arrow's 128 bits."""
    return _fixed_width(column, np.dtype(np.int64), per_value=2)[::2]


def codes_of(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Number the values from 0 on in the order of their first appearance."""
    indices = pc.dictionary_encode(column.combine_chunks()).indices
    return _fixed_width(pa.chunked_array([indices]), np.dtype(np.int32)).astype(np.int64)


def array_of(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return values without nulls as an Arrow array of a type of the same width."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def column_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return Python values as an Arrow array of one of the lake's types; None is null."""
    present = np.array([value is not None for value in values], bool)
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [validity, *_buffers(values, kind)])


def session_days(event_time_ns: npt.NDArray[np.int64], feeds: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Return session dates as days since 1970-01-01; vectorised `domain.feed_session.feed_session_date`."""
    feeds_of_rule: dict[SessionRule, list[str]] = {}
    for feed in pc.unique(feeds).to_pylist():
        feeds_of_rule.setdefault(session_rule(feed), []).append(feed)
    if len(feeds_of_rule) == 1:
        return session_days_of_rule(event_time_ns, *feeds_of_rule)
    days = np.empty(len(event_time_ns), np.int32)
    for rule, of_rule in feeds_of_rule.items():
        is_of_rule = pc.is_in(feeds, pa.array(of_rule, feeds.type)).to_numpy(zero_copy_only=False)
        days[is_of_rule] = session_days_of_rule(event_time_ns[is_of_rule], rule)
    return days


def session_days_of_rule(event_time_ns: npt.NDArray[np.int64], rule: SessionRule) -> npt.NDArray[np.int32]:
    if not len(event_time_ns):
        return np.empty(0, np.int32)
    sessions: set[date] = set()
    for utc_day in np.unique(event_time_ns // _DAY_NS).tolist():
        # sessions begin a day apart or more, so a UTC day touches two of them at most
        sessions.add(rule_session_date(utc_day * _DAY_NS, rule))
        sessions.add(rule_session_date((utc_day + 1) * _DAY_NS - 1, rule))
    ordered = sorted(sessions)
    starts = np.array([rule_session_bounds_ns(session, rule)[0] for session in ordered], np.int64)
    days = np.array([(session - date(1970, 1, 1)).days for session in ordered], np.int32)
    return days[np.searchsorted(starts, event_time_ns, side="right") - 1]


def _microseconds(nanoseconds: npt.NDArray[np.int64]) -> pa.Array:
    return array_of(nanoseconds // 1000, pa.timestamp("us", tz="UTC"))


def _buffers(values: Sequence[Any], kind: pa.DataType) -> list[pa.Buffer]:
    if pa.types.is_string(kind):
        encoded = [value.encode() for value in values]
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return [pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    if pa.types.is_decimal(kind):
        lower = np.array([price_units(price) for price in values], np.int64)
        # the upper half of the 128 bits repeats the sign
        return [pa.py_buffer(np.ascontiguousarray(np.stack([lower, lower >> 63], axis=1)))]
    return [pa.py_buffer(np.array([0 if value is None else value for value in values], f"i{kind.bit_width // 8}"))]


def _fixed_width(column: pa.ChunkedArray, kind: np.dtype[Any], per_value: int = 1) -> npt.NDArray[Any]:
    """View a column without nulls as numpy, with `per_value` numbers for each value."""
    parts = [
        np.frombuffer(chunk.buffers()[1], kind)[chunk.offset * per_value : (chunk.offset + len(chunk)) * per_value]
        for chunk in column.chunks
        if len(chunk)
    ]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _nulls(array: pa.Array) -> npt.NDArray[np.bool_]:
    validity = array.buffers()[0]
    if validity is None:
        return np.zeros(len(array), bool)
    bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[array.offset : array.offset + len(array)]
    nulls: npt.NDArray[np.bool_] = bits == 0
    return nulls


def _values(column: pa.ChunkedArray) -> Sequence[Any]:
    """Return Python values. Arrow's `to_pylist` takes ten times as long, because it makes a scalar of every cell."""
    if column.null_count:
        return list(column.to_pylist())
    if pa.types.is_int64(column.type):
        return list(int64_values(column).tolist())
    if pa.types.is_decimal(column.type):
        return _decimals(column)
    if pa.types.is_string(column.type):
        distinct = pc.dictionary_encode(column.combine_chunks())
        if len(distinct.dictionary) < len(distinct) // 2:
            values = distinct.dictionary.to_pylist()
            return [values[code] for code in codes_of(column).tolist()]
        return _texts(column.combine_chunks())
    return list(column.to_pylist())


def _volumes(table: pa.Table) -> Sequence[Any]:
    whole, fractions = _values(table["volume"]), _fixed_width(table["volume_fraction"], np.dtype(np.int32))
    if not fractions.any():
        return whole
    return [
        volume if volume is None else shares_of(volume, fraction)
        for volume, fraction in zip(whole, fractions.tolist(), strict=True)
    ]


def texts_of(column: pa.ChunkedArray) -> list[str]:
    """Return the texts of a column without nulls."""
    return _texts(column.combine_chunks())


def _texts(column: pa.StringArray) -> list[str]:
    """Return texts, cut from one decoded string if it is ASCII, because its places are then those of its bytes."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1].tolist()
    encoded = bytes(column.buffers()[2] or b"")[: offsets[-1]]
    if not encoded.isascii():
        return list(column.to_pylist())
    text = encoded.decode()
    return [text[start:end] for start, end in pairwise(offsets)]


def _decimals(column: pa.ChunkedArray) -> list[Decimal]:
    return [Decimal(units).scaleb(-PRICE_SCALE) for units in price_units_of(column).tolist()]
