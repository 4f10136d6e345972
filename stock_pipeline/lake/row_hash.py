"""Hashes of trades that stay the same for ever, because manifests keep them.

polars and numpy hash faster, but promise nothing between releases. This file alone defines the hashes; a test compares
them with recorded values.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.trade import COLUMNS

Hashes = npt.NDArray[np.uint64]

_FIRST = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)

BLOCK_ROWS = 32_768
"""Hashed together, column by column, in the processor's cache."""

_PADDED_BYTES = 512 * BLOCK_ROWS
"""Limit of strings hashed together: one long string makes all others as long."""

_STRING, _NUMBERS = "string", ("bigint", "int", "decimal(18,6)")

CODED = tuple(column.name for column in COLUMNS if column.sql_type == _STRING and column.name != "event_id")
NUMBERS = tuple(column.name for column in COLUMNS if column.sql_type in _NUMBERS)

HASHED_COLUMNS = ("event_id", *CODED, *NUMBERS)
"""All columns but ingest time, and those that follow from other columns."""

_DEFAULTS = {column.name: np.uint64(column.default) for column in COLUMNS if isinstance(column.default, int)}

NO_VOLUME = -1


def hash_strings(strings: pa.Array) -> Hashes:
    """Return a 64-bit hash of each string: its bytes, eight at a time, folded into its length."""
    strings = strings.cast(pa.large_string())
    offsets = np.frombuffer(strings.buffers()[1], np.int64)[strings.offset : strings.offset + len(strings) + 1]
    lengths = np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _FIRST
    for start in range(0, len(strings), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        _fold_strings(hashes[block], strings[block], lengths[block])
    return _mixed(hashes)


def _fold_strings(hashes: Hashes, strings: pa.Array, lengths: npt.NDArray[np.int64]) -> None:
    """Fold in place, with strings filled up with zeros to the longest."""
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
    """Return a 64-bit hash of each trade.

    columns: 64 bits of each of `CODED` (the string's hash), then of `NUMBERS` (price unscaled, missing volume
    `NO_VOLUME`).

    A column of a later schema version is folded where it is not its default. So rows of older files keep their hash.
    """
    hashes = id_hashes.copy()
    for name, column in zip((*CODED, *NUMBERS), columns, strict=True):
        if name not in _DEFAULTS:
            _fold(hashes, column)
        elif (differs := column != _DEFAULTS[name]).any():
            folded = hashes.copy()
            _fold(folded, column)
            np.copyto(hashes, folded, where=differs)
    return _mixed(hashes)


def hash_table(rows: pa.Table, id_hashes: Hashes) -> Hashes:
    """Return `hash_rows` of a table of `trade_schema`, or of one with dictionaries for strings."""
    coded = (_hash_repeated_strings(rows[name]) for name in CODED)
    return hash_rows(id_hashes, chain(coded, (integers(column_array(rows[name])) for name in NUMBERS)))


def column_array(column: pa.ChunkedArray) -> pa.Array:
    """Return the column in one piece."""
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
    """Return numbers as 64 bits: a decimal unscaled, null as `NO_VOLUME`."""
    if pa.types.is_decimal(array.type):
        return decimal_units(array).view(np.uint64)
    if array.null_count:
        array = pc.fill_null(array, NO_VOLUME)
    numbers: npt.NDArray[np.int64] = array.to_numpy().astype(np.int64, copy=False)
    return numbers.view(np.uint64)


def decimal_units(prices: pa.Array) -> npt.NDArray[np.int64]:
    """Return prices in millionths of a dollar: the lower half of each 128-bit value."""
    halves = np.frombuffer(prices.buffers()[1], np.int64).reshape(-1, 2)
    return np.ascontiguousarray(halves[prices.offset : prices.offset + len(prices), 0])


def _fold(hashes: Hashes, words: Hashes) -> None:
    """Fold in place, because new memory costs more than the arithmetic."""
    hashes ^= words
    hashes *= _SECOND
    hashes ^= hashes >> _HALF


def _mixed(hashes: Hashes) -> Hashes:
    mixed: Hashes = hashes * _FIRST
    mixed ^= mixed >> _HALF
    mixed *= _SECOND
    mixed ^= mixed >> _HALF
    return mixed
