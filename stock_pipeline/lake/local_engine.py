"""The engine `local`: compacts a session on this machine, in memory that does not grow with the session."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

from stock_pipeline.domain.compaction_plan import LOCAL, CompactionPlan, InputFile, Manifest
from stock_pipeline.domain.lake_layout import CURATED_FILE
from stock_pipeline.errors import DamagedVersionError, ProofError
from stock_pipeline.lake.downloads import downloaded
from stock_pipeline.lake.engine import WrittenVersion
from stock_pipeline.lake.input_files import read_group, read_in_pieces
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.lake.parquet_pieces import named
from stock_pipeline.lake.proof import prove
from stock_pipeline.lake.row_sort import RowSort


@dataclass(frozen=True)
class LocalEngine:
    """row_sort: makes what sorts a session's rows in a folder.

    progress: told the number of raw files read so far, and of all.
    scratch: folder for spilled rows; the system's temporary one by default.
    """

    lake: Lake
    row_sort: Callable[[date, Path], RowSort] = RowSort
    progress: Callable[[int, int], None] = lambda _done, _all: None
    scratch: Path | None = None
    name: str = field(default=LOCAL, init=False)

    @contextmanager
    def opened(self, plan: CompactionPlan) -> Iterator["LocalInputs"]:
        with tempfile.TemporaryDirectory(prefix="compaction-", dir=self.scratch) as folder:
            inputs = LocalInputs(self.lake, plan, Path(folder), self.row_sort(plan.session_date, Path(folder) / "sort"))
            inputs.read_base()
            inputs.read_new(self.progress)
            yield inputs


class LocalInputs:
    """The rows of a plan as sorted runs in a folder."""

    def __init__(self, lake: Lake, plan: CompactionPlan, folder: Path, row_sort: RowSort) -> None:
        self._lake, self._plan, self._folder, self._rows = lake, plan, folder, row_sort
        self._ignored: set[str] = set()
        self.unreadable: dict[InputFile, str] = {}
        self.schema_version = 1

    @property
    def ignored(self) -> tuple[str, ...]:
        return tuple(sorted(self._ignored))

    def read_base(self) -> None:
        base = self._plan.base
        if base is None:
            return
        for key in base.data_keys:
            path = self._folder / "base.parquet"
            self._lake.download(key, path)
            self._rows.read(named(read_in_pieces(path), partial(_damaged, base, key)))
            path.unlink()
        if self._rows.rows_in != base.digest.rows:
            raise ProofError(
                f"session {base.session_date}: version {base.version} has {self._rows.rows_in} rows, its manifest says "
                f"{base.digest.rows}; nothing was published"
            )

    def read_new(self, progress: Callable[[int, int], None]) -> None:
        self._rows.read(self._new_rows(progress))

    def write(self) -> WrittenVersion:
        """Write the version unless it is there, and prove the stored object."""
        target = self._plan.target(frozenset(self.unreadable))
        written, stored = self._folder / "written.parquet", self._folder / "stored.parquet"
        expected = self._rows.write(written)
        is_ours = self._lake.upload_if_absent(target.data_key, written)
        written.unlink()
        self._lake.download(target.data_key, stored)
        try:
            digest = prove(expected, stored, self._plan.session_date)
        except ProofError as error:
            if is_ours:
                raise
            raise ProofError(f"{error}: {target.data_key} was there before; delete it and compact again") from error
        return WrittenVersion(target, self._rows.rows_in, digest, stored.stat().st_size, (CURATED_FILE,))

    def _new_rows(self, progress: Callable[[int, int], None]) -> Iterator[pl.DataFrame]:
        done, files_in_all = 0, len(self._plan.new_files)
        for files, paths in downloaded(self._lake, self._plan.new_files, self._folder / "inputs"):
            group = read_group(paths, self._plan.session_date)
            yield from group.frames
            of_path = dict(zip(paths, files, strict=True))
            self.unreadable.update({of_path[path]: reason for path, reason in group.unreadable.items()})
            self._ignored.update(group.ignored)
            self.schema_version = max(self.schema_version, group.schema_version)
            for path in paths:
                path.unlink()
            done += len(files)
            progress(done, files_in_all)


def _damaged(base: Manifest, key: str, reason: str) -> DamagedVersionError:
    return DamagedVersionError(
        f"session {base.session_date}: version {base.version} is damaged ({key} can't be read: {reason}): delete that "
        "object and compact again, which makes the version again or says what is lost"
    )
