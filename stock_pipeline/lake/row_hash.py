"""Hashes of trades that stay the same for ever: they stand in manifests, and proofs compare them.

polars and numpy hash faster, but promise nothing from one version to the next. The functions here are defined by this
file alone, and a test holds them to recorded values.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

_FIRST = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_LOW_BYTES = np.array([(1 << (8 * count)) - 1 for count in range(9)], np.uint64)

CODED = ("feed", "capture_mode", "symbol", "exchange", "conditions", "tape", "status")
NUMBERS = ("event_time_ns", "sequence", "price", "volume", "version")

HASHED_COLUMNS = ("event_id", *CODED, *NUMBERS)
"""All of a trade but when the pipeline saw it, and what follows from other columns."""

NO_VOLUME = -1


def hash_strings(strings: pa.Array) -> Hashes:
    """A 64-bit hash of each string: its bytes, eight at a time, folded into its length."""
    strings = strings.cast(pa.large_string())
    count = len(strings)
    _, offset_buffer, data_buffer = strings.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[strings.offset : strings.offset + count + 1]
    begin, end = int(offsets[0]), int(offsets[-1])
    data = np.zeros(end - begin + 8, np.uint8)  # a word may reach beyond the last string
    if end > begin:
        data[:-8] = np.frombuffer(data_buffer, np.uint8)[begin:end]
    words: Hashes = np.ndarray((end - begin + 1,), np.dtype("<u8"), data, 0, (1,))
    starts, lengths = offsets[:-1] - begin, np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _FIRST
    shortest, longest = int(lengths.min(initial=0)), int(lengths.max(initial=0))
    for position in range(0, longest, 8):
        if position + 8 <= shortest:
            _fold(hashes, words[starts + position])
            continue
        longer = np.flatnonzero(lengths > position)
        left = np.minimum(lengths[longer] - position, 8)
        folded = hashes[longer]
        _fold(folded, words[starts[longer] + position] & _LOW_BYTES[left])
        hashes[longer] = folded
    return _mixed(hashes)


def hash_rows(id_hashes: Hashes, columns: Iterable[Hashes]) -> Hashes:
    """A 64-bit hash of each trade: of its event id's hash, and of 64 bits for each of its `CODED` columns (the hash of
    the string) and `NUMBERS` (the price unscaled, a missing volume as `NO_VOLUME`), in this order."""
    hashes = id_hashes.copy()
    for column in columns:
        _fold(hashes, column)
    return _mixed(hashes)


def hash_table(rows: pa.Table, id_hashes: Hashes) -> Hashes:
    """`hash_rows` of a table of `trade_schema`, or of one with dictionaries for strings."""
    coded = (_hash_repeated_strings(rows[name]) for name in CODED)
    return hash_rows(id_hashes, chain(coded, (_integers(rows[name]) for name in NUMBERS)))


def column_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece."""
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        return combined.chunk(0) if combined.num_chunks else pa.array([], column.type)
    return combined


def _hash_repeated_strings(column: pa.ChunkedArray) -> Hashes:
    array = column_array(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes: npt.NDArray[Any] = array.indices.to_numpy(zero_copy_only=False)
    hashes: Hashes = hash_strings(array.dictionary)[codes]
    return hashes


def _integers(column: pa.ChunkedArray) -> Hashes:
    """The column's numbers as 64 bits; a decimal as its unscaled value, null as a value that no field allows."""
    array = column_array(column)
    if pa.types.is_decimal(array.type):
        return decimal_units(array).view(np.uint64)
    numbers: npt.NDArray[np.int64] = pc.fill_null(array.cast(pa.int64()), NO_VOLUME).to_numpy(zero_copy_only=False)
    return numbers.view(np.uint64)


def decimal_units(prices: pa.Array) -> npt.NDArray[np.int64]:
    """Prices in millionths of a dollar. decimal(18, 6) fits 64 bits, so the upper half of each value says nothing."""
    halves = np.frombuffer(prices.buffers()[1], np.int64).reshape(-1, 2)
    return np.ascontiguousarray(halves[prices.offset : prices.offset + len(prices), 0])


def _fold(hashes: Hashes, words: Hashes) -> None:
    """In place: of columns this long, new memory costs more than the arithmetic."""
    hashes ^= words
    hashes *= _SECOND
    hashes ^= hashes >> _HALF


def _mixed(hashes: Hashes) -> Hashes:
    mixed: Hashes = hashes * _FIRST
    mixed ^= mixed >> _HALF
    mixed *= _SECOND
    mixed ^= mixed >> _HALF
    return mixed
