"""Compaction of one partition: plan, write, prove, publish.

Nothing is visible before the catalog's location moves, by one call. A crash leaves a whole version published; the next
run plans the same version and goes on.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from stock_pipeline.domain.compaction_plan import LOCAL, CompactionPlan, InputFile, Manifest, plan_compaction
from stock_pipeline.domain.lake_layout import (
    CURATED_FILE,
    MANIFEST_FILE,
    VersionPrefix,
    curated_partition_prefix,
    raw_partition_prefix,
)
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import HeadLostError, ProofError, PublishConflictError, UnreadableInputError
from stock_pipeline.lake.downloads import downloaded
from stock_pipeline.lake.input_files import UnreadableFile, read_group, read_in_pieces, unreadable_files
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.local_engine import LocalEngine
from stock_pipeline.lake.partition_heads import StoredHead
from stock_pipeline.lake.proof import prove
from stock_pipeline.lake.publication import Publication
from stock_pipeline.lake.sql_engine import SqlEngine, WrittenVersion, find_unreadable, write_version

ATTEMPTS = 5
"""How often a run plans, because another run may publish meanwhile."""


class CompactionReport(NamedTuple):
    """Result of one compaction. `rows_in == rows_out + duplicates`.

    version: the published one, or "" if the session has no raw files and no version.
    unreadable: keys of the new files that the version lacks.
    unsorted: keys of data files that are not in the order of symbols, so that queries for one symbol read more.
    published: False if there was nothing to do.
    """

    session_date: date
    version: str
    files_in: int
    bytes_in: int
    bytes_out: int
    rows_in: int
    rows_out: int
    duplicates: int
    volume: int
    unreadable: tuple[str, ...]
    unsorted: tuple[str, ...]
    published: bool


@dataclass(frozen=True)
class Compactor:
    """Compacts partitions of the lake's trades.

    progress: told the number of raw files read so far, and of all.
    scratch: folder for spilled rows; the system's temporary one by default.
    sql_engine: writes partitions of more than `sql_engine_bytes`.
    """

    lake: Lake
    catalog: Catalog
    now: Callable[[], datetime]
    progress: Callable[[int, int], None] = lambda _done, _all: None
    scratch: Path | None = None
    engine: Callable[[date, Path], LocalEngine] = field(default=LocalEngine)
    sql_engine: SqlEngine | None = None
    sql_engine_bytes: int = 0

    @property
    def publication(self) -> Publication:
        return Publication(self.lake, self.catalog, self.now)

    def compact(self, session_date: date, allow_missing: bool = False) -> CompactionReport:
        """Bring the published version up to the raw files that are there now.

        Readers keep the old version on every error: `UnreadableInputError` if files can't be read, unless
        `allow_missing`; `ProofError` if the written rows are not those of the inputs.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(session_date, allow_missing)
            except PublishConflictError:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def plan(self, session_date: date) -> CompactionPlan:
        """Return the plan that `compact` would follow now."""
        return self._planned(self.publication.heads.read(session_date))[0]

    def raw_listing(self, session_date: date) -> Sequence[InputFile]:
        return [
            InputFile.of(listed)
            for listed in self.lake.list(raw_partition_prefix(session_date))
            if listed.key.endswith(".parquet")
        ]

    def published_manifest(self, session_date: date) -> Manifest | None:
        """Return the manifest of the published version, if there is one."""
        return self._manifest(self.publication.heads.read(session_date))

    def _attempt(self, session_date: date, allow_missing: bool) -> CompactionReport:
        self.publication.point_catalog_at_head(session_date)
        stored = self.publication.heads.read(session_date)
        plan, published = self._planned(stored)
        if plan.is_empty:
            return _nothing_to_do(session_date, published)
        with tempfile.TemporaryDirectory(prefix="compaction-", dir=self.scratch) as folder:
            written = self._written(plan, published, Path(folder), allow_missing)
        manifest = Manifest(
            session_date=session_date,
            version=written.target.version,
            replaces=plan.base.version if plan.base else None,
            inputs=plan.inputs(written.unreadable),
            unreadable=plan.all_unreadable(written.unreadable),
            digest=written.digest,
            data_bytes=written.data_bytes,
            data_files=written.data_files,
            engine=written.engine,
        )
        self.lake.put(written.target.manifest_key, manifest.to_json())
        self.publication.publish(stored, written.target.version)
        return _report(plan, written)

    def _planned(self, stored: StoredHead) -> tuple[CompactionPlan, Manifest | None]:
        published = self._manifest(stored)
        listing = self.raw_listing(stored.session_date)
        if published is None:
            self._check_head_was_not_lost(stored.session_date, listing)
        return plan_compaction(stored.session_date, listing, stored.head, published), published

    def _manifest(self, stored: StoredHead) -> Manifest | None:
        if stored.head.version is None:
            return None
        return Manifest.from_json(self.lake.get(VersionPrefix(stored.session_date, stored.head.version).manifest_key))

    def _check_head_was_not_lost(self, session_date: date, listing: Sequence[InputFile]) -> None:
        """Raise `HeadLostError` if a manifest names raw files that are gone."""
        for listed in self.lake.list(curated_partition_prefix(session_date)):
            if listed.key.endswith("/" + MANIFEST_FILE):
                manifest = Manifest.from_json(self.lake.get(listed.key))
                if not set(manifest.inputs) <= set(listing):
                    raise HeadLostError(
                        f"session {session_date} has version {manifest.version}, whose raw files are gone, but no "
                        "head: run `stock-pipeline catalog rebuild` first"
                    )

    def _written(
        self, plan: CompactionPlan, published: Manifest | None, folder: Path, allow_missing: bool
    ) -> WrittenVersion:
        size = sum(file.size for file in plan.new_files) + (published.data_bytes if published else 0)
        if self.sql_engine is not None and size > self.sql_engine_bytes:
            return self._write_by_sql(self.sql_engine, plan, allow_missing)
        return self._write(plan, published, folder, allow_missing)

    def _write_by_sql(self, sql_engine: SqlEngine, plan: CompactionPlan, allow_missing: bool) -> WrittenVersion:
        attempt = sql_engine.new_attempt()
        reasons = find_unreadable(self.lake, sql_engine, plan, attempt)
        _check_unreadable(plan, reasons, allow_missing)
        return write_version(self.lake, sql_engine, plan, frozenset(reasons), attempt)

    def _write(
        self, plan: CompactionPlan, published: Manifest | None, folder: Path, allow_missing: bool
    ) -> WrittenVersion:
        """Read the inputs, write the version unless it is there, and prove the stored object."""
        engine = self.engine(plan.session_date, folder / "engine")
        unreadable: dict[InputFile, str] = {}
        engine.read(self._base_rows(plan, published, folder))
        engine.read(self._new_rows(plan, folder, unreadable))
        _check_unreadable(plan, unreadable, allow_missing)
        target = plan.target(frozenset(unreadable))
        expected = engine.write(folder / "written.parquet")
        self.lake.upload_if_absent(target.data_key, folder / "written.parquet")
        (folder / "written.parquet").unlink()

        stored = folder / "stored.parquet"
        self.lake.download(target.data_key, stored)
        digest = prove(expected, stored, plan.session_date, folder / "proof")
        size = stored.stat().st_size
        return WrittenVersion(target, engine.rows_in, frozenset(unreadable), digest, size, (CURATED_FILE,), LOCAL, ())

    def _base_rows(self, plan: CompactionPlan, published: Manifest | None, folder: Path) -> Iterator[pl.DataFrame]:
        if plan.base is None or published is None:
            return
        rows = 0
        for key in published.data_keys:
            path = folder / "base.parquet"
            self.lake.download(key, path)
            for frame in read_in_pieces(path):
                rows += frame.height
                yield frame
            path.unlink()
        if rows != published.digest.rows:
            raise ProofError(
                f"session {plan.session_date}: version {plan.base.version} has {rows} rows, its manifest says "
                f"{published.digest.rows}; nothing was published"
            )

    def _new_rows(self, plan: CompactionPlan, folder: Path, unreadable: dict[InputFile, str]) -> Iterator[pl.DataFrame]:
        """Yield the rows of the new files; put unreadable files into `unreadable`, with the reason."""
        done = 0
        for files, paths in downloaded(self.lake, plan.new_files, folder / "inputs"):
            try:
                yield from read_group(paths, plan.session_date)
            except UnreadableFile:
                bad = {error.path: error.reason for error in unreadable_files(paths, plan.session_date)}
                unreadable.update({file: bad[path] for file, path in zip(files, paths, strict=True) if path in bad})
                good = [path for path in paths if path not in bad]
                if good:
                    yield from read_group(good, plan.session_date)
            for path in paths:
                path.unlink()
            done += len(files)
            self.progress(done, len(plan.new_files))


def _check_unreadable(plan: CompactionPlan, unreadable: dict[InputFile, str], allow_missing: bool) -> None:
    if not unreadable:
        return
    nothing_left = not plan.inputs(frozenset(unreadable))
    if allow_missing and not nothing_left:
        return
    names = "; ".join(f"{file.key}: {reason}" for file, reason in sorted(unreadable.items()))
    advice = (
        "there is nothing else to publish"
        if nothing_left
        else "put them right, or publish the rest with --allow-missing"
    )
    raise UnreadableInputError(
        f"session {plan.session_date}: {len(unreadable)} raw files can't be read as trades ({names}); {advice}"
    )


def _report(plan: CompactionPlan, written: WrittenVersion) -> CompactionReport:
    return CompactionReport(
        session_date=plan.session_date,
        version=written.target.version,
        files_in=len(plan.new_files),
        bytes_in=sum(file.size for file in plan.new_files),
        bytes_out=written.data_bytes,
        rows_in=written.rows_in,
        rows_out=written.digest.rows,
        duplicates=written.rows_in - written.digest.rows,
        volume=written.digest.volume,
        unreadable=tuple(sorted(file.key for file in written.unreadable)),
        unsorted=written.unsorted,
        published=True,
    )


def _nothing_to_do(session_date: date, published: Manifest | None) -> CompactionReport:
    digest = published.digest if published else TradesDigest()
    return CompactionReport(
        session_date=session_date,
        version=published.version if published else "",
        files_in=0,
        bytes_in=0,
        bytes_out=0,
        rows_in=digest.rows,
        rows_out=digest.rows,
        duplicates=0,
        volume=digest.volume,
        unreadable=(),
        unsorted=(),
        published=False,
    )
