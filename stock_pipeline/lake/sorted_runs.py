"""Packed trades on disk as sorted runs, and the ranges in which they are read back.

A run is what was in memory at once, sorted by (symbol, event time). Any range of that order is then one slice of each
run, and ranges can be chosen when all rows have been counted: as many as the rows need, each small enough for memory.
A symbol with more trades than a range should hold is cut by time.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from stock_pipeline.lake.packed_rows import Packing
from stock_pipeline.lake.row_hash import Hashes


@dataclass(frozen=True)
class _Run:
    """starts: for each symbol's code the row at which its trades begin; the next symbol's begin where they end."""

    path: Path
    slices: dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Trades of these symbols (codes, in order). Of a single symbol: those in [first_ns, end_ns)."""

    symbols: tuple[int, ...]
    first_ns: int | None = None
    end_ns: int | None = None


class SortedRuns:
    def __init__(self, folder: Path, packing: Packing) -> None:
        self._folder, self._packing = folder, packing
        self._runs: list[_Run] = []
        self._schema: pa.Schema | None = None
        self._counts: dict[int, int] = {}
        folder.mkdir(parents=True)

    @property
    def rows(self) -> int:
        return sum(self._counts.values())

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
        path = self._folder / f"{len(self._runs):06}.arrow"
        table = packed.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        self._schema = table.schema
        self._runs.append(_Run(path, slices))

    def ranges(self, rows: int) -> Iterator[KeyRange]:
        """The whole order cut into ranges of about `rows` rows."""
        ranks = self._packing.strings("symbol").ranks
        together: list[int] = []
        held = 0
        for symbol in sorted(self._counts, key=lambda code: int(ranks[code])):
            count = self._counts[symbol]
            if together and held + count > rows:
                yield KeyRange(tuple(together))
                together, held = [], 0
            if count > rows:
                yield from self._cut_by_time(symbol, pieces=-(-count // rows))
                continue
            together.append(symbol)
            held += count
        if together:
            yield KeyRange(tuple(together))

    def read(self, key_range: KeyRange) -> pl.DataFrame:
        """All rows of the range, in no particular order."""
        pieces: list[pa.Table] = []
        for run in self._runs:
            held = [run.slices[symbol] for symbol in key_range.symbols if symbol in run.slices]
            if held:
                pieces.append(self._slice(run, held[0][0], held[-1][1], key_range))
        return self._concatenated(pieces)

    def rows_with(self, id_hashes: Hashes) -> pl.DataFrame:
        """Every row whose event id has one of these hashes (sorted)."""
        pieces = []
        for run in self._runs:
            with pa.memory_map(str(run.path)) as source:
                table = pa.ipc.open_file(source).read_all()
                hashes = table["id_hash"].to_numpy()
                places = np.minimum(np.searchsorted(id_hashes, hashes), len(id_hashes) - 1)
                pieces.append(table.take(pa.array(np.flatnonzero(id_hashes[places] == hashes))))
        return self._concatenated(pieces)

    def _cut_by_time(self, symbol: int, pieces: int) -> Iterator[KeyRange]:
        sample = np.sort(np.concatenate([self._sample_of_times(run, symbol, pieces) for run in self._runs]))
        cuts = np.unique(sample[np.arange(1, pieces) * len(sample) // pieces]).tolist()
        for first, end in zip([None, *cuts], [*cuts, None], strict=True):
            yield KeyRange((symbol,), first, end)

    def _sample_of_times(self, run: _Run, symbol: int, pieces: int) -> npt.NDArray[np.int64]:
        start, end = run.slices.get(symbol, (0, 0))
        if start == end:
            return np.empty(0, np.int64)
        with pa.memory_map(str(run.path)) as source:
            times = pa.ipc.open_file(source).read_all()["event_time_ns"].slice(start, end - start).to_numpy()
            sample: npt.NDArray[np.int64] = times[:: max(1, len(times) // (64 * pieces))].copy()
            return sample

    def _slice(self, run: _Run, start: int, end: int, key_range: KeyRange) -> pa.Table:
        # a copy, so that the file's pages leave memory with the map
        with pa.memory_map(str(run.path)) as source:
            table = pa.ipc.open_file(source).read_all()
            if len(key_range.symbols) == 1:
                times = table["event_time_ns"].slice(start, end - start).to_numpy()
                if key_range.end_ns is not None:
                    end = start + int(np.searchsorted(times, key_range.end_ns))
                if key_range.first_ns is not None:
                    start += int(np.searchsorted(times, key_range.first_ns))
            return _copied(table.slice(start, end - start))

    def _concatenated(self, pieces: Sequence[pa.Table]) -> pl.DataFrame:
        assert self._schema is not None, "nothing was added"
        return pl.DataFrame(pa.concat_tables([self._schema.empty_table(), *pieces]).combine_chunks())


def copied(packed: pl.DataFrame) -> pl.DataFrame:
    """The rows without what they are a part of, which a slice would keep in memory."""
    return pl.DataFrame(_copied(packed.to_arrow(compat_level=pl.CompatLevel.oldest())))


def _copied(table: pa.Table) -> pa.Table:
    # one chunk alone would be given back as it is
    return pa.concat_tables([table.schema.empty_table(), table]).combine_chunks()
