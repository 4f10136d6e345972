"""Packs trades for sorting: repeated strings as codes, the price as an integer.

`event_time` and `session_date` are dropped and computed again from `event_time_ns` and the session. So a packed row is
half as wide, and moving rows is most of a compaction's work.
"""

from collections.abc import Iterator
from datetime import date
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from stock_pipeline.domain.feed_session import partition_start_ns
from stock_pipeline.domain.trade import PRICE_SCALE
from stock_pipeline.lake.row_hash import (
    BLOCK_ROWS,
    CODED,
    NUMBERS,
    Hashes,
    column_array,
    hash_rows,
    hash_strings,
    integers,
)
from stock_pipeline.trade_table import trade_schema

_TIME_BITS = 49
"""A session has at most six days, from Friday evening over a long weekend: less than 2^49 nanoseconds."""

_MOST_SYMBOLS = 2 ** (64 - _TIME_BITS)

_Value = TypeVar("_Value", bound=np.generic)


class CodedStrings(NamedTuple):
    """The strings of a coded column.

    ranks: for each code, its string's place in `ordered`.
    """

    by_code: list[str]
    ordered: pa.Array
    ranks: npt.NDArray[np.int32]

    @classmethod
    def of(cls, by_code: list[str]) -> "CodedStrings":
        ordered = sorted(by_code)
        places = {string: place for place, string in enumerate(ordered)}
        return cls(by_code, pa.array(ordered, pa.string()), np.array([places[string] for string in by_code], np.int32))

    def dictionary(self, codes: npt.NDArray[np.uint32]) -> pa.DictionaryArray:
        """Encode with the strings that occur, sorted: equal rows give equal files whatever their codes."""
        used = np.flatnonzero(np.bincount(codes, minlength=len(self.ranks)))
        used = used[np.argsort(self.ranks[used])]
        places = np.zeros(len(self.ranks), np.int32)
        places[used] = np.arange(len(used), dtype=np.int32)
        return pa.DictionaryArray.from_arrays(_looked_up(places, codes), self.ordered.take(pa.array(self.ranks[used])))


class Packing:
    """Packing of one session's trades. Dictionaries of coded columns grow as trades come."""

    def __init__(self, session_date: date) -> None:
        self.session_date = session_date
        self._start_ns = partition_start_ns(session_date)
        self._categories = {name: pl.Categories.random() for name in CODED}
        # polars forgets the codes when no series has them any more
        self._anchors = [pl.Series([], dtype=pl.Categorical(each)) for each in self._categories.values()]
        self._strings: dict[str, CodedStrings] = {}

    def pack(self, rows: pl.DataFrame, id_hashes: Hashes) -> pl.DataFrame:
        self._strings.clear()  # these rows may have brought more
        return rows.select(
            pl.col("event_id"),
            pl.Series("id_hash", id_hashes),
            *(pl.col(name).cast(pl.Categorical(self._categories[name])).to_physical() for name in CODED),
            *(pl.col(name).to_physical().cast(pl.Int64) if name == "price" else pl.col(name) for name in NUMBERS),
            pl.col("ingest_time").to_physical(),
        )

    def hash_rows(self, packed: pl.DataFrame) -> Hashes:
        of_values = {name: hash_strings(pa.array(self.strings(name).by_code, pa.string())) for name in CODED}
        hashes = [np.empty(0, np.uint64)]
        for rows in packed.iter_slices(BLOCK_ROWS):
            coded = (_looked_up(of_values[name], rows[name].to_numpy()) for name in CODED)
            numbers = (integers(rows[name].to_arrow()) for name in NUMBERS)
            hashes.append(hash_rows(rows["id_hash"].to_numpy(), chain(coded, numbers)))
        return np.concatenate(hashes)

    def strings(self, name: str) -> CodedStrings:
        """Return the strings of a coded column so far."""
        if name not in self._strings:
            self._strings[name] = CodedStrings.of(self._categories[name].to_series().to_list())
        return self._strings[name]

    def sort_keys(self, packed: pl.DataFrame) -> npt.NDArray[np.uint64]:
        """Return (symbol, event time) of each row as one integer that sorts alike.

        With more symbols than fit, times lose their last digits, and the caller tells apart rows of one key.
        """
        ranks = self.strings("symbol").ranks
        dropped = np.uint64(max(0, (len(ranks) - 1).bit_length() - _MOST_SYMBOLS.bit_length() + 1))
        offsets = (packed["event_time_ns"].to_numpy() - self._start_ns).astype(np.uint64)
        symbols = _looked_up(ranks, packed["symbol"].to_numpy()).astype(np.uint64)
        return (symbols << (np.uint64(_TIME_BITS) - dropped)) | (offsets >> dropped)

    def readable(self, packed: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with strings in place of codes."""
        strings = {name: pl.Series(self.strings(name).by_code, dtype=pl.String) for name in CODED}
        return packed.with_columns(strings[name].gather(packed[name]).alias(name) for name in CODED)

    def tables(self, packed: pl.DataFrame, rows: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows, coded columns as dictionaries."""
        plain = self._plain_columns(packed)
        for start in range(0, packed.height, rows):
            piece = packed.slice(start, rows)
            coded = {name: self.strings(name).dictionary(piece[name].to_numpy()) for name in CODED}
            columns = {name: column.slice(start, rows) for name, column in plain.items()} | coded
            yield pa.table([columns[name] for name in packed_schema().names], schema=packed_schema())

    def _plain_columns(self, packed: pl.DataFrame) -> dict[str, pa.Array]:
        kept = ("event_id", *(name for name in NUMBERS if name != "price"))
        table = packed.select(kept).to_arrow(compat_level=pl.CompatLevel.oldest())
        days = (self.session_date - date(1970, 1, 1)).days
        microseconds = pa.timestamp("us", tz="UTC")
        schema = trade_schema()
        return {
            **{name: column_array(table[name]).cast(schema.field(name).type) for name in kept},
            "event_time": pa.array(packed["event_time_ns"].to_numpy() // 1000).cast(microseconds),
            "ingest_time": pa.array(packed["ingest_time"].to_numpy()).cast(microseconds),
            "price": _decimals(packed["price"].to_numpy()),
            "session_date": pa.array(np.full(packed.height, days, np.int32)).cast(pa.date32()),
        }


def packed_schema() -> pa.Schema:
    """Return `trade_schema` with dictionaries for the coded columns; a file's readers see strings."""
    return pa.schema(
        [
            field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.name in CODED else field
            for field in trade_schema()
        ]
    )


def _looked_up(table: npt.NDArray[_Value], codes: npt.NDArray[np.uint32]) -> npt.NDArray[_Value]:
    """Return `table[codes]`, twice as fast without a check of bounds."""
    return table.take(codes, mode="clip")


def _decimals(units: npt.NDArray[np.int64]) -> pa.Array:
    halves = np.zeros((len(units), 2), np.int64)
    halves[:, 0] = units
    halves[:, 1] = units >> 63
    return pa.Array.from_buffers(pa.decimal128(18, PRICE_SCALE), len(units), [None, pa.py_buffer(halves)])
