"""Packs trades for sorting: symbols, and all other repeated strings together, as codes; the price as an integer.

`event_time` and `session_date` are dropped and computed again from `event_time_ns` and the session. So a packed row is
half as wide, and moving rows is most of a compaction's work.
"""

from collections.abc import Hashable, Iterable, Iterator
from datetime import date
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from stock_pipeline.domain.feed_session import partition_start_ns
from stock_pipeline.domain.trade import COLUMNS, PRICE_SCALE
from stock_pipeline.trade_table import array_of, trade_schema

ATTRIBUTES = tuple(
    column.name for column in COLUMNS if column.sql_type == "string" and column.name not in ("event_id", "symbol")
)
"""Strings of which a session has few combinations: one code stands for all of a row's."""

_NUMBERS = tuple(column.name for column in COLUMNS if column.sql_type in ("bigint", "int"))

_TIME_BITS = 49
"""A session has at most six days, from Friday evening over a long weekend: less than 2^49 nanoseconds."""

_MOST_SYMBOLS = 2 ** (64 - _TIME_BITS)

_LARGEST_TABLE = 2**20
"""Codes below are counted in a table, which is ten times as fast as sorting them."""

_Value = TypeVar("_Value", bound=np.generic)
_Key = TypeVar("_Key", bound=Hashable)


class CodedStrings(NamedTuple):
    """The strings that codes stand for.

    ordered: each string once.
    ranks: for each code, its string's place in `ordered`.
    """

    by_code: list[str]
    ordered: list[str]
    ranks: npt.NDArray[np.int32]

    @classmethod
    def of(cls, by_code: list[str]) -> "CodedStrings":
        ordered = sorted(set(by_code))
        places = {string: place for place, string in enumerate(ordered)}
        return cls(by_code, ordered, np.array([places[string] for string in by_code], np.int32))

    def dictionary(self, codes: npt.NDArray[np.uint32]) -> pa.DictionaryArray:
        """Encode with the strings that occur, sorted: equal rows give equal files whatever their codes."""
        used, indices = _numbered(_looked_up(self.ranks, codes), len(self.ordered))
        strings = pa.array([self.ordered[place] for place in used.tolist()], pa.string())
        return pa.DictionaryArray.from_arrays(indices.astype(np.int32), strings)


class Packing:
    """Packing of one session's trades. Codes grow as trades come."""

    def __init__(self, session_date: date) -> None:
        self.session_date = session_date
        self._start_ns = partition_start_ns(session_date)
        self._symbols: dict[str, int] = {}
        self._attributes: dict[tuple[str, ...], int] = {}
        self._strings: dict[str, CodedStrings] = {}

    def pack(self, rows: pl.DataFrame) -> pl.DataFrame:
        self._strings.clear()  # these rows may have brought more
        return rows.select(
            pl.col("event_id"),
            pl.Series("symbol", self._symbol_codes(rows["symbol"])),
            pl.Series("attributes", self._attribute_codes(rows)),
            pl.col(_NUMBERS),
            pl.col("price").to_physical().cast(pl.Int64),
            pl.col("ingest_time").to_physical(),
        )

    def strings(self, name: str) -> CodedStrings:
        """Return the strings so far of `symbol`, or of one of `ATTRIBUTES` by the code of all."""
        if name not in self._strings:
            place = ATTRIBUTES.index(name) if name != "symbol" else 0
            by_code = list(self._symbols) if name == "symbol" else [strings[place] for strings in self._attributes]
            self._strings[name] = CodedStrings.of(by_code)
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
        codes = {"symbol": packed["symbol"]} | dict.fromkeys(ATTRIBUTES, packed["attributes"])
        strings = {name: pl.Series(self.strings(name).by_code, dtype=pl.String) for name in codes}
        return packed.with_columns(strings[name].gather(codes[name]).alias(name) for name in codes)

    def tables(self, packed: pl.DataFrame, rows: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows, repeated strings as dictionaries."""
        plain = self._plain_columns(packed)
        for start in range(0, packed.height, rows):
            piece = packed.slice(start, rows)
            symbols, attributes = piece["symbol"].to_numpy(), piece["attributes"].to_numpy()
            coded = {name: self.strings(name).dictionary(attributes) for name in ATTRIBUTES}
            coded["symbol"] = self.strings("symbol").dictionary(symbols)
            columns = {name: column.slice(start, rows) for name, column in plain.items()} | coded
            yield pa.table([columns[name] for name in packed_schema().names], schema=packed_schema())

    def _symbol_codes(self, symbols: pl.Series) -> npt.NDArray[np.uint32]:
        strings, codes = _encoded(symbols)
        return _looked_up(_codes_of(strings, self._symbols), codes)

    def _attribute_codes(self, rows: pl.DataFrame) -> npt.NDArray[np.uint32]:
        combinations: list[tuple[str, ...]] = [()]
        codes = np.zeros(rows.height, np.int64)
        for name in ATTRIBUTES:
            strings, of_column = _encoded(rows[name])
            # new memory costs more than the arithmetic
            codes *= len(strings)
            codes += of_column
            used, codes = _numbered(codes, len(combinations) * len(strings))
            combinations = [
                (*combinations[each // len(strings)], strings[each % len(strings)]) for each in used.tolist()
            ]
        return _looked_up(_codes_of(combinations, self._attributes), codes)

    def _plain_columns(self, packed: pl.DataFrame) -> dict[str, pa.Array]:
        schema = trade_schema()
        kept = packed.select("event_id", *_NUMBERS).to_arrow(compat_level=pl.CompatLevel.oldest())
        days = (self.session_date - date(1970, 1, 1)).days
        return {
            **{name: kept[name].combine_chunks().cast(schema.field(name).type) for name in kept.column_names},
            "event_time": array_of(packed["event_time_ns"].to_numpy() // 1000, schema.field("event_time").type),
            "ingest_time": array_of(packed["ingest_time"].to_numpy(), schema.field("ingest_time").type),
            "price": _decimals(packed["price"].to_numpy()),
            "session_date": array_of(np.full(packed.height, days, np.int32), pa.date32()),
        }


def packed_schema() -> pa.Schema:
    """Return `trade_schema` with dictionaries for repeated strings; a file's readers see strings."""
    return pa.schema(
        [
            field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.name in ("symbol", *ATTRIBUTES) else field
            for field in trade_schema()
        ]
    )


def _encoded(column: pl.Series) -> tuple[list[str], npt.NDArray[np.uint32]]:
    """Return the distinct strings of a column, and for each row the place of its own among them."""
    if column.len() and (column == column[0]).all():
        return [column[0]], np.zeros(column.len(), np.uint32)
    categories = pl.Categories.random()
    coded = column.cast(pl.Categorical(categories))
    return categories.to_series().to_list(), coded.to_physical().to_numpy()


def _codes_of(values: Iterable[_Key], known: dict[_Key, int]) -> npt.NDArray[np.uint32]:
    """Return the code of each value; new ones get the next."""
    return np.array([known.setdefault(value, len(known)) for value in values], np.uint32)


def _numbered(values: npt.NDArray[Any], bound: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the distinct values, all below `bound`, in order, and for each value its place among them."""
    if bound > _LARGEST_TABLE:
        distinct, places = np.unique(values, return_inverse=True)
        return distinct.astype(np.int64), places
    used = np.flatnonzero(np.bincount(values, minlength=bound))
    table = np.zeros(bound, np.int64)
    table[used] = np.arange(len(used))
    return used, _looked_up(table, values)


def _looked_up(table: npt.NDArray[_Value], codes: npt.NDArray[Any]) -> npt.NDArray[_Value]:
    """Return `table[codes]`, twice as fast without a check of bounds."""
    return table.take(codes, mode="clip")


def _decimals(units: npt.NDArray[np.int64]) -> pa.Array:
    halves = np.zeros((len(units), 2), np.int64)
    halves[:, 0] = units
    halves[:, 1] = units >> 63
    return pa.Array.from_buffers(pa.decimal128(18, PRICE_SCALE), len(units), [None, pa.py_buffer(halves)])
