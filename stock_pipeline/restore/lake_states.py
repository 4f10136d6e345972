"""The states that follow from the lake: each symbol's newest trades, merged as the processor merges them."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import CURATED_PREFIX, RAW_PREFIX
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.errors import DamagedVersionError, UnreadableInputError
from stock_pipeline.lake.downloads import downloaded
from stock_pipeline.lake.input_files import read_group
from stock_pipeline.lake.lake_access import Folders, Lake
from stock_pipeline.lake.parquet_pieces import named, trade_pieces
from stock_pipeline.lake.raw_file_gate import conformed
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.lake.session_partition import SessionPartition, Version
from stock_pipeline.lake.unpublished_sessions import sessions_of
from stock_pipeline.streaming.newest_trades import newest_rows
from stock_pipeline.trade_table import trade_schema

PIECE_ROWS = 262_144


class SessionRead(NamedTuple):
    """What was read of one session.

    raw_files: files that the published version does not have.
    rows: of both, before symbols were chosen.
    """

    session_date: date
    version: str | None
    raw_files: int
    rows: int


@dataclass
class LakeStates:
    """States that grow as sessions are read. In memory are the windows, and the rows of one piece of a file.

    symbols: which ones to keep; all, if there are none.
    """

    objects: Lake
    partition: Callable[[date], SessionPartition]
    average_windows: tuple[int, ...]
    symbols: Collection[str] = ()
    states: dict[SymbolKey, SymbolState] = field(default_factory=dict)
    failures: SessionFailures = field(default_factory=SessionFailures)
    _known: dict[date, frozenset[InputFile]] = field(default_factory=dict)
    _read_files: set[InputFile] = field(default_factory=set)

    def read(self, sessions: Iterable[date]) -> Iterator[SessionRead]:
        """Read the sessions one by one; a second time, what came since.

        A session that fails is kept in `failures`, and the others are read.
        """
        for session_date in sessions:
            done = None
            with self.failures.of(session_date), tempfile.TemporaryDirectory(prefix="rebuild-") as folder:
                done = self._read_session(self.partition(session_date), Path(folder))
            if done:
                yield done

    def _read_session(self, partition: SessionPartition, folder: Path) -> SessionRead:
        published = partition.published()
        # listed after the head was read: what is compacted in between is still there as raw files
        listed = partition.raw_files()
        whole = published if published and published.manifest and published.has_data else None
        rows = 0
        if whole and whole.manifest and partition.session_date not in self._known:
            rows += self._read_version(whole, folder)
            self._known[partition.session_date] = whole.manifest.known_files
        # of the version that was read, not of one that was published since: its new raw files are still there
        known = self._known.get(partition.session_date, frozenset()) | self._read_files
        files = [file for file in listed if file not in known]
        rows += self._read_raw(files, partition.session_date, folder)
        if published and not whole:
            raise DamagedVersionError(
                f"the published version is damaged ({published.damage}), and only raw files were read: run "
                f"`stock-pipeline compact --session {partition.session_date}`, then this again"
            )
        return SessionRead(partition.session_date, whole.name if whole else None, len(files), rows)

    def _read_version(self, version: Version, folder: Path) -> int:
        assert version.manifest is not None
        rows = 0
        for key in version.manifest.data_keys:
            path = folder / "version.parquet"
            self.objects.download(key, path)
            for piece in named(trade_pieces(path, PIECE_ROWS), partial(_broken, key)):
                rows += piece.num_rows
                self._merge(piece)
            path.unlink()
        return rows

    def _read_raw(self, files: list[InputFile], session_date: date, folder: Path) -> int:
        rows = 0
        unreadable: dict[str, str] = {}
        for group, paths in downloaded(self.objects, files, folder / "raw"):
            found = read_group(paths, session_date)
            for frame in found.frames:
                rows += frame.height
                self._merge(conformed(frame.to_arrow()))
            for file, path in zip(group, paths, strict=True):
                if path in found.unreadable:
                    unreadable[file.key] = found.unreadable[path]
                else:
                    self._read_files.add(file)
                path.unlink()
        if unreadable:
            names = "; ".join(f"{key}: {why}" for key, why in sorted(unreadable.items()))
            raise UnreadableInputError(
                f"without these raw files, which can't be read ({names}): `stock-pipeline compact --session "
                f"{session_date} --allow-missing` sets them aside"
            )
        return rows

    def _merge(self, rows: pa.Table) -> None:
        if self.symbols:
            rows = rows.filter(pc.is_in(rows["symbol"], value_set=pa.array(sorted(self.symbols), pa.string())))
        rows = rows.cast(pa.schema(trade_schema(), metadata=None)).combine_chunks()
        newest = newest_rows(rows, np.zeros(rows.num_rows, np.int64), window_capacity(self.average_windows))
        for key, trades in newest.trades():
            state = self.states.get(key) or SymbolState(key, ())
            self.states[key] = state.merged_with(trades, self.average_windows)


def newest_sessions(lake: Folders, number: int) -> list[date]:
    """Return the newest sessions with raw files or versions, newest first."""
    folders = {folder for prefix in (RAW_PREFIX, CURATED_PREFIX) for folder in lake.folders(prefix, depth=3)}
    sessions, _ = sessions_of(sorted(folders))
    return sorted(set(sessions), reverse=True)[:number]


def _broken(key: str, why: str) -> DamagedVersionError:
    return DamagedVersionError(f"{key} can't be read ({why}): restore that object, then run this again")
