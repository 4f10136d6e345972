"""Counts, symbol by symbol, what raw files and published versions have of one session."""

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import BESIDE_THE_STREAM, sequence_range_of_key
from stock_pipeline.domain.reconciliation import CuratedCounts, RawCounts
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import OrderKey, order_key
from stock_pipeline.errors import DamagedVersionError
from stock_pipeline.lake.downloads import downloaded
from stock_pipeline.lake.hash_spill import HashSpill
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, named, trade_pieces
from stock_pipeline.lake.raw_file_gate import judge_file
from stock_pipeline.trade_table import trade_schema, trades_of_table

_BATCH_ROWS = 262_144

_COUNTED = ["event_id", "feed", "symbol"]


@dataclass(frozen=True)
class RawSession:
    """Counts of a session's raw files.

    unreadable: keys of files that are not counted.
    """

    counts: dict[SymbolKey, RawCounts]
    unreadable: tuple[str, ...]


def count_raw(lake: Lake, files: Sequence[InputFile], folder: Path) -> RawSession:
    """Count rows and distinct event ids of each symbol, in memory for one group of files."""
    outermost = frozenset(_outermost(files))
    books = _Ids(folder / "ids")
    delivered: Counter[SymbolKey] = Counter()
    unreadable: list[str] = []
    for group, paths in downloaded(lake, files, folder / "raw"):
        for file, path in zip(group, paths, strict=True):
            rows = _counted(path)
            if rows is None:
                unreadable.append(file.key)
            else:
                delivered.update(books.add(rows, of_stream=file in outermost))
            path.unlink()
    trades, of_stream = books.distinct()
    counts = {key: RawCounts(delivered[key], trades[key], of_stream[key]) for key in delivered}
    return RawSession(counts, tuple(sorted(unreadable)))


class FoundIds(NamedTuple):
    """Event ids that raw files have.

    unreadable: keys of files that were not looked into.
    """

    ids: frozenset[str]
    unreadable: tuple[str, ...]


def ids_in(lake: Lake, files: Sequence[InputFile], wanted: Collection[str], folder: Path) -> FoundIds:
    """Return which of the wanted event ids the files have."""
    names = pa.array(sorted(wanted), pa.string())
    found: set[str] = set()
    unreadable: list[str] = []
    for group, paths in downloaded(lake, files, folder / "wanted"):
        for file, path in zip(group, paths, strict=True):
            try:
                ids = pq.ParquetFile(path).read(columns=["event_id"], use_threads=False)["event_id"]
            except BROKEN_FILE:
                unreadable.append(file.key)
            else:
                ids = ids.cast(pa.string())
                found.update(ids.filter(pc.is_in(ids, value_set=names)).to_pylist())
            path.unlink()
    return FoundIds(frozenset(found), tuple(sorted(unreadable)))


def _counted(path: Path) -> pa.Table | None:
    """Return the columns to count by; None if the file is refused or broken."""
    try:
        with pq.ParquetFile(path) as file:
            if judge_file(file.metadata).refused:
                return None
            rows = file.read(columns=_COUNTED, use_threads=False)
        rows.validate(full=True)
    except BROKEN_FILE:
        return None
    return rows


def count_curated(paths: Iterable[Path], capacity: int) -> dict[SymbolKey, CuratedCounts]:
    """Count the rows of each symbol, and keep its newest `capacity`."""
    rows: Counter[SymbolKey] = Counter()
    newest: dict[SymbolKey, pa.Table] = {}
    for piece in _pieces(paths):
        for key, of_key in _by_symbol(piece):
            rows[key] += of_key.num_rows
            both = of_key if key not in newest else pa.concat_tables([newest[key], of_key])
            newest[key] = _newest(both, capacity)
    return {
        key: CuratedCounts(rows[key], tuple(sorted(trades_of_table(newest[key].cast(trade_schema())), key=order_key)))
        for key in rows
    }


def data_files(lake: Lake, location: str) -> list[str]:
    """Return the keys that a reader of the location reads: names without a leading underscore."""
    prefix = location.removeprefix(lake.uri("")).rstrip("/") + "/"
    return [listed.key for listed in lake.list(prefix) if not listed.key.rpartition("/")[2].startswith("_")]


class _Ids:
    """Event ids as hashes on disk, each with its symbol's number and whether its file counts for the stream."""

    def __init__(self, folder: Path) -> None:
        self._spill = HashSpill(folder, columns=2)
        self._numbers: dict[SymbolKey, int] = {}
        self._seed = secrets.randbits(64)  # so that nobody can make ids that collide

    def add(self, rows: pa.Table, of_stream: bool) -> Counter[SymbolKey]:
        """Take rows in, and return their number of each symbol."""
        codes = _codes(rows)
        counts: Counter[SymbolKey] = Counter()
        numbers = np.zeros(rows.num_rows, np.uint64)
        for key, places in codes.items():
            numbers[places] = self._numbers.setdefault(key, len(self._numbers))
            counts[key] = len(places)
        if rows.num_rows:
            marks = numbers << np.uint64(1) | np.uint64(of_stream)
            ids = pl.Series(rows["event_id"].combine_chunks().cast(pa.large_string()))
            self._spill.add(ids.hash(self._seed).to_numpy(), marks)
        return counts

    def distinct(self) -> tuple[Counter[SymbolKey], Counter[SymbolKey]]:
        """Count distinct event ids of each symbol: in all files, and in files that count for the stream."""
        keys = list(self._numbers)
        every, of_stream = Counter[SymbolKey](), Counter[SymbolKey]()
        for ids, marks in self._spill.parts():
            for counter, chosen in ((every, np.ones(len(ids), bool)), (of_stream, (marks & np.uint64(1)) == 1)):
                pairs = np.unique(np.stack([marks[chosen] >> np.uint64(1), ids[chosen]]), axis=1)
                numbers, counts = np.unique(pairs[0], return_counts=True)
                for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
                    counter[keys[number]] += count
        return every, of_stream


def _codes(rows: pa.Table) -> dict[SymbolKey, Any]:
    """Return the places of each symbol's rows."""
    names = pc.binary_join_element_wise(rows["symbol"].cast(pa.string()), rows["feed"].cast(pa.string()), "\n")
    encoded = names.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    return {
        SymbolKey(*name.split("\n")): order[bounds[code] : bounds[code + 1]]
        for code, name in enumerate(encoded.dictionary.to_pylist())
    }


def _by_symbol(rows: pa.Table) -> Iterator[tuple[SymbolKey, pa.Table]]:
    for key, places in _codes(rows).items():
        yield key, rows.take(pa.array(places))


def _newest(rows: pa.Table, capacity: int) -> pa.Table:
    order = [(name, "ascending") for name in OrderKey._fields]
    return rows.take(pc.sort_indices(rows, order)[-capacity:]).combine_chunks()


def _pieces(paths: Iterable[Path]) -> Iterator[pa.Table]:
    for path in paths:
        yield from named(trade_pieces(path, _BATCH_ROWS), _broken)


def _broken(reason: str) -> DamagedVersionError:
    return DamagedVersionError(f"a data file of the published version can't be read ({reason})")


def _outermost(files: Sequence[InputFile]) -> Iterator[InputFile]:
    """Yield files whose records no other single file has, and files whose key says no range of the stream."""
    ranges = []
    for file in files:
        try:
            shard_id, first, last = sequence_range_of_key(file.key)
        except ValueError:
            yield file
            continue
        if shard_id in BESIDE_THE_STREAM:
            yield file
        else:
            ranges.append((shard_id, first, last, file))
    reached: tuple[str, int] | None = None
    for shard_id, _first, last, file in sorted(ranges, key=lambda each: (each[0], each[1], -each[2], each[3])):
        if reached is None or reached[0] != shard_id or last > reached[1]:
            yield file
            reached = (shard_id, last)
