"""Trades packed for sorting: columns of few different strings as codes, the price as an integer, and nothing that
follows from another column. A packed row is half as wide, and moving rows is most of what a compaction does.
"""

from collections.abc import Iterator
from datetime import date
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from stock_pipeline.domain.session import session_bounds_ns
from stock_pipeline.domain.trade import PRICE_SCALE
from stock_pipeline.lake.row_hash import CODED, NO_VOLUME, NUMBERS, Hashes, column_array, hash_rows, hash_strings
from stock_pipeline.trade_table import trade_schema

_TIME_BITS = 47
"""A session lasts at most 25 hours, which is less than 2^47 nanoseconds."""

_MOST_SYMBOLS = 2 ** (64 - _TIME_BITS)

PRICE_UNITS = 10**PRICE_SCALE


class Packing:
    """How the trades of one session are packed: each coded column has a dictionary that grows as trades come."""

    def __init__(self, session_date: date) -> None:
        self.session_date = session_date
        self._start_ns, _ = session_bounds_ns(session_date)
        self._categories = {name: pl.Categories.random() for name in CODED}
        # polars forgets the codes when no series has them any more
        self._anchors = [pl.Series([], dtype=pl.Categorical(each)) for each in self._categories.values()]

    def pack(self, rows: pl.DataFrame, id_hashes: Hashes) -> pl.DataFrame:
        return rows.select(
            pl.col("event_id"),
            pl.Series("id_hash", id_hashes),
            *(pl.col(name).cast(pl.Categorical(self._categories[name])).to_physical() for name in CODED),
            pl.col("event_time_ns"),
            pl.col("sequence"),
            pl.col("price").to_physical().cast(pl.Int64),
            pl.col("volume"),
            pl.col("version"),
            pl.col("ingest_time").to_physical(),
        )

    def hash_rows(self, packed: pl.DataFrame) -> Hashes:
        """`row_hash.hash_rows` of packed rows."""
        coded = (hash_strings(pa.array(self.values(name), pa.string()))[packed[name].to_numpy()] for name in CODED)
        numbers = (packed[name].fill_null(NO_VOLUME).cast(pl.Int64).to_numpy().view(np.uint64) for name in NUMBERS)
        return hash_rows(packed["id_hash"].to_numpy(), chain(coded, numbers))

    def values(self, name: str) -> list[str]:
        """The strings of a coded column, by their codes."""
        values: list[str] = self._categories[name].to_series().to_list()
        return values

    def ranks(self, name: str) -> npt.NDArray[np.uint64]:
        """For each code its string's place in the order of strings."""
        order = np.argsort(np.array(self.values(name), object), kind="stable")
        ranks = np.empty(len(order), np.uint64)
        ranks[order] = np.arange(len(order), dtype=np.uint64)
        return ranks

    def sort_keys(self, packed: pl.DataFrame) -> npt.NDArray[np.uint64]:
        """(symbol, event time) of each row as one integer that sorts alike.

        With more symbols than the key has room for, times lose their last digits: rows that then share a key are
        told apart by whoever sorts.
        """
        ranks = self.ranks("symbol")
        dropped = np.uint64(max(0, (len(ranks) - 1).bit_length() - _MOST_SYMBOLS.bit_length() + 1))
        offsets = (packed["event_time_ns"].to_numpy() - self._start_ns).astype(np.uint64)
        symbols: npt.NDArray[np.uint64] = ranks[packed["symbol"].to_numpy()]
        return (symbols << (np.uint64(_TIME_BITS) - dropped)) | (offsets >> dropped)

    def readable(self, packed: pl.DataFrame) -> pl.DataFrame:
        """The same rows with strings in place of codes."""
        strings = {name: pl.Series(self.values(name), dtype=pl.String) for name in CODED}
        return packed.with_columns(strings[name].gather(packed[name]).alias(name) for name in CODED)

    def tables(self, packed: pl.DataFrame, rows: int) -> Iterator[pa.Table]:
        """The rows as tables of `trade_schema`, `rows` each, with coded columns as dictionaries of what occurs."""
        for start in range(0, packed.height, rows):
            yield self._table(packed.slice(start, rows))

    def _table(self, packed: pl.DataFrame) -> pa.Table:
        table = packed.to_arrow(compat_level=pl.CompatLevel.oldest())
        days = (self.session_date - date(1970, 1, 1)).days
        microseconds = pa.timestamp("us", tz="UTC")
        event_time_ns = packed["event_time_ns"].to_numpy()
        columns = {
            "event_time": pa.array(event_time_ns // 1000).cast(microseconds),
            "ingest_time": column_array(table["ingest_time"]).cast(pa.int64()).cast(microseconds),
            "price": _decimals(packed["price"].to_numpy()),
            "session_date": pa.array(np.full(packed.height, days, np.int32)).cast(pa.date32()),
            **{name: _dictionary(packed[name].to_numpy(), self.values(name)) for name in CODED},
        }
        schema = trade_schema()
        arrays = [
            columns[name] if name in columns else table[name].cast(schema.field(name).type) for name in schema.names
        ]
        return pa.table(arrays, schema=packed_schema())


def packed_schema() -> pa.Schema:
    """`trade_schema` with dictionaries for the coded columns. Readers of a file see plain strings."""
    return pa.schema(
        [
            field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.name in CODED else field
            for field in trade_schema()
        ]
    )


def _dictionary(codes: npt.NDArray[np.uint32], values: list[str]) -> pa.DictionaryArray:
    used = np.flatnonzero(np.bincount(codes, minlength=len(values)))
    # sorted, so that equal rows give equal files whatever order the strings were first seen in
    used = used[np.argsort(np.array([values[code] for code in used], object), kind="stable")]
    places = np.zeros(len(values), np.int32)
    places[used] = np.arange(len(used), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(places[codes], pa.array([values[code] for code in used], pa.string()))


def _decimals(units: npt.NDArray[np.int64]) -> pa.Array:
    halves = np.zeros((len(units), 2), np.int64)
    halves[:, 0] = units
    halves[:, 1] = units >> 63
    return pa.Array.from_buffers(pa.decimal128(18, PRICE_SCALE), len(units), [None, pa.py_buffer(halves)])
