"""Keeps packed trades on disk as sorted runs, and reads them back in ranges.

A run has the rows that were in memory at once, sorted by (symbol, event time). A range is one slice of each run, small
enough for memory; it is chosen when all rows are counted. A symbol with too many trades is cut by time.
"""

import itertools
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from stock_pipeline.lake.packed_rows import Packing
from stock_pipeline.lake.row_hash import Hashes, hash_ids

_PIECES_AT_ONCE = 64
"""Reading kilobytes of a mapped file may bring megabytes of it into memory."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Trades of these symbols (codes, in order). Of a single symbol: those in [first_ns, end_ns)."""

    symbols: tuple[int, ...]
    first_ns: int | None = None
    end_ns: int | None = None


class SortedRuns:
    """Runs in one mapped file. Adding ends with the first read; rows are copied out, and their pages let go."""

    def __init__(self, path: Path, packing: Packing) -> None:
        self._path, self._packing = path, packing
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._mapped: _MappedRuns | None = None
        # for each run: where the trades of each symbol's code begin and end
        self._slices: list[dict[int, tuple[int, int]]] = []
        self._counts: dict[int, int] = {}

    def add(self, packed: pl.DataFrame) -> None:
        if packed.is_empty():
            return
        packed = packed.rechunk()
        packed = packed[np.argsort(self._packing.sort_keys(packed))]
        symbols = packed["symbol"].to_numpy()
        edges = np.flatnonzero(np.diff(symbols)) + 1
        bounds = [0, *edges.tolist(), len(symbols)]
        slices = {int(symbols[start]): (start, end) for start, end in itertools.pairwise(bounds)}
        for symbol, (start, end) in slices.items():
            self._counts[symbol] = self._counts.get(symbol, 0) + end - start
        (run,) = packed.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), run.schema)
        self._writer.write_batch(run)
        self._slices.append(slices)

    def ranges(self, rows: int) -> Iterator[KeyRange]:
        """Yield ranges of about `rows` rows that cover the whole order."""
        ranks = self._packing.strings("symbol").ranks
        together: list[int] = []
        rows_together = 0
        for symbol in sorted(self._counts, key=lambda code: int(ranks[code])):
            count = self._counts[symbol]
            if together and rows_together + count > rows:
                yield KeyRange(tuple(together))
                together, rows_together = [], 0
            if count > rows:
                yield from self._cut_by_time(symbol, pieces=-(-count // rows))
                continue
            together.append(symbol)
            rows_together += count
        if together:
            yield KeyRange(tuple(together))

    def read(self, key_range: KeyRange) -> pl.DataFrame:
        """Return all rows of the range, unordered."""
        pieces: list[pa.RecordBatch] = []
        for run, slices in zip(self._runs.batches, self._slices, strict=True):
            of_range = [slices[symbol] for symbol in key_range.symbols if symbol in slices]
            if of_range:
                piece = run.slice(of_range[0][0], of_range[-1][1] - of_range[0][0])
                pieces.append(self._cut(piece, key_range) if len(key_range.symbols) == 1 else piece)
        return self._runs.copied(pieces)

    def rows_with(self, id_hashes: Hashes) -> pl.DataFrame:
        """Return every row whose event id has one of these sorted hashes."""
        pieces: list[pa.RecordBatch] = []
        for run in self._runs.batches:
            hashes = hash_ids(pl.Series(run["event_id"]))
            places = np.minimum(np.searchsorted(id_hashes, hashes), len(id_hashes) - 1)
            pieces.append(run.take(pa.array(np.flatnonzero(id_hashes[places] == hashes))))
            self._runs.let_go()
        return self._runs.copied(pieces)

    @property
    def _runs(self) -> "_MappedRuns":
        if self._mapped is None:
            assert self._writer is not None, "nothing was added"
            self._writer.close()
            self._mapped = _MappedRuns(self._path)
        return self._mapped

    def _cut_by_time(self, symbol: int, pieces: int) -> Iterator[KeyRange]:
        samples: list[npt.NDArray[np.int64]] = []
        for run, slices in zip(self._runs.batches, self._slices, strict=True):
            start, end = slices.get(symbol, (0, 0))
            times = run["event_time_ns"].to_numpy()[start:end]
            samples.append(times[:: max(1, len(times) // (64 * pieces))].copy())
            self._runs.let_go()
        sample = np.sort(np.concatenate(samples))
        cuts = np.unique(sample[np.arange(1, pieces) * len(sample) // pieces]).tolist()
        for first, end in zip([None, *cuts], [*cuts, None], strict=True):
            yield KeyRange((symbol,), first, end)

    def _cut(self, piece: pa.RecordBatch, key_range: KeyRange) -> pa.RecordBatch:
        """Cut a symbol's trades, sorted by time, to those of the range."""
        times = piece["event_time_ns"].to_numpy()
        start = 0 if key_range.first_ns is None else int(np.searchsorted(times, key_range.first_ns))
        end = len(times) if key_range.end_ns is None else int(np.searchsorted(times, key_range.end_ns))
        self._runs.let_go()
        return piece.slice(start, end - start)


class _MappedRuns:
    """The file of runs. Touched pages count as this process's memory until `let_go`."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.py_buffer(self._map))
        self.batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]

    def copied(self, pieces: list[pa.RecordBatch]) -> pl.DataFrame:
        """Copy the pieces' rows, column by column and some pieces at a time."""
        columns: dict[str, pa.Array] = {}
        for field in self.batches[0].schema:
            parts = [pa.array([], field.type)]
            for start in range(0, len(pieces), _PIECES_AT_ONCE):
                together = pieces[start : start + _PIECES_AT_ONCE]
                parts.append(pa.concat_arrays([piece[field.name] for piece in together]))
                self.let_go()
            columns[field.name] = parts[1] if len(parts) == 2 else pa.concat_arrays(parts)
        return pl.DataFrame(pa.table(columns))

    def let_go(self) -> None:
        self._map.madvise(mmap.MADV_DONTNEED)


def copied(table: pa.Table) -> pl.DataFrame:
    """Copy the rows, because a slice keeps its table in memory."""
    # concatenated with an empty table, because a single chunk would not be copied
    return pl.DataFrame(pa.concat_tables([table.schema.empty_table(), table]).combine_chunks())
