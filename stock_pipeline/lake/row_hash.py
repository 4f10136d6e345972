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

BLOCK_ROWS = 32_768
"""Hashed together: so many stay in the processor's cache, column by column."""

_PADDED_BYTES = 512 * BLOCK_ROWS
"""At most, of strings hashed together: one that is much longer than any trade's makes all others as long."""

CODED = ("feed", "capture_mode", "symbol", "exchange", "conditions", "tape", "status")
NUMBERS = ("event_time_ns", "sequence", "price", "volume", "version")

HASHED_COLUMNS = ("event_id", *CODED, *NUMBERS)
"""All of a trade but when the pipeline saw it, and what follows from other columns."""

NO_VOLUME = -1


def hash_strings(strings: pa.Array) -> Hashes:
    """A 64-bit hash of each string: its bytes, eight at a time, folded into its length."""
    strings = strings.cast(pa.large_string())
    offsets = np.frombuffer(strings.buffers()[1], np.int64)[strings.offset : strings.offset + len(strings) + 1]
    lengths = np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _FIRST
    for start in range(0, len(strings), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        _fold_strings(hashes[block], strings[block], lengths[block])
    return _mixed(hashes)


def _fold_strings(hashes: Hashes, strings: pa.Array, lengths: npt.NDArray[np.int64]) -> None:
    """In place; all strings are filled up to the longest with zeros."""
    words = -(-int(lengths.max()) // 8)
    if not words:
        return
    if len(strings) > 1 and 8 * words * len(strings) > _PADDED_BYTES:
        for half in (slice(0, len(strings) // 2), slice(len(strings) // 2, None)):
            _fold_strings(hashes[half], strings[half], lengths[half])
        return
    padded = pc.ascii_rpad(strings, 8 * words, padding="\0")
    _, offset_buffer, data_buffer = padded.buffers()
    first = int(np.frombuffer(offset_buffer, np.int64)[padded.offset])
    table = np.frombuffer(data_buffer, np.dtype("<u8"), len(strings) * words, first).reshape(-1, words)
    shortest = int(lengths.min())
    for number in range(words):
        if 8 * number < shortest:
            _fold(hashes, table[:, number])
        else:
            folded = hashes.copy()
            _fold(folded, table[:, number])
            np.copyto(hashes, folded, where=lengths > 8 * number)


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
    return hash_rows(id_hashes, chain(coded, (integers(column_array(rows[name])) for name in NUMBERS)))


def column_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _hash_repeated_strings(column: pa.ChunkedArray) -> Hashes:
    array = column_array(column)
    if not pa.types.is_dictionary(array.type):
        runs = pc.run_end_encode(array)
        lengths: npt.NDArray[np.int32] = np.diff(runs.run_ends.to_numpy(), prepend=np.int32(0))
        return hash_strings(runs.values).repeat(lengths)
    codes: npt.NDArray[Any] = array.indices.to_numpy(zero_copy_only=False)
    hashes: Hashes = hash_strings(array.dictionary)[codes]
    return hashes


def integers(array: pa.Array) -> Hashes:
    """Numbers as 64 bits; a decimal as its unscaled value, null as a value that no field allows."""
    if pa.types.is_decimal(array.type):
        return decimal_units(array).view(np.uint64)
    if array.null_count:
        array = pc.fill_null(array, NO_VOLUME)
    numbers: npt.NDArray[np.int64] = array.to_numpy().astype(np.int64, copy=False)
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
