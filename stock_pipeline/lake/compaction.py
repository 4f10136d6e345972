"""Compaction of one partition: plan, write, prove, publish.

Nothing is visible before the catalog's location moves, by one call. A crash leaves a whole version published; the next
run plans the same version and goes on.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from stock_pipeline.domain.compaction_plan import CompactionPlan, InputFile, Manifest, plan_compaction
from stock_pipeline.domain.head_choice import best_version
from stock_pipeline.domain.trade import SCHEMA_VERSION, Shares
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import DamagedVersionError, HeadLostError, PublishConflictError, UnreadableInputError
from stock_pipeline.lake.engine import Engine, Inputs, WrittenVersion
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.local_engine import LocalEngine
from stock_pipeline.lake.row_sort import RowSort
from stock_pipeline.lake.session_partition import SessionPartition, StoredHead, Version
from stock_pipeline.lake.sql_engine import SqlEngine, SqlQueries

ATTEMPTS = 5
"""How often a run plans, because another run may publish meanwhile."""


class CompactionReport(NamedTuple):
    """Result of one compaction. `rows_in == rows_out + duplicates`.

    version: the published one, or "" if the session has no raw files and no version.
    unreadable: keys of the new files that the version lacks.
    unsorted: keys of data files that are not in the order of symbols, so that queries for one symbol read more.
    ignored: columns of new files that nobody declared.
    repaired: what was wrong with the version that this one replaces, or "".
    notes: what an operator should know of how it was written.
    published: False if there was nothing to do.
    """

    session_date: date
    version: str
    files_in: int
    files_out: int
    bytes_in: int
    bytes_out: int
    rows_in: int
    rows_out: int
    duplicates: int
    volume: Shares
    unreadable: tuple[str, ...]
    unsorted: tuple[str, ...]
    ignored: tuple[str, ...]
    repaired: str
    notes: tuple[str, ...]
    published: bool


class ChosenEngine(NamedTuple):
    """The engine of a plan.

    why: the reason, if it is not the one that the session's size would have; else "".
    """

    engine: Engine
    why: str


@dataclass(frozen=True)
class Compactor:
    """Compacts partitions of the lake's trades.

    row_sort, progress, scratch: of the local engine.
    sql_queries: write partitions of more than `sql_bytes`.
    """

    lake: Lake
    catalog: Catalog
    now: Callable[[], datetime]
    progress: Callable[[int, int], None] = lambda _done, _all: None
    scratch: Path | None = None
    row_sort: Callable[[date, Path], RowSort] = RowSort
    sql_queries: SqlQueries | None = None
    sql_bytes: int = 0

    def partition(self, session_date: date) -> SessionPartition:
        return SessionPartition(self.lake, self.catalog, self.now, session_date)

    def compact(self, session_date: date, allow_missing: bool = False) -> CompactionReport:
        """Bring the published version up to the raw files that are there now.

        Readers keep the old version on every error: `UnreadableInputError` if files can't be read, and
        `DamagedVersionError` if the published version can't be made again from what is left, unless `allow_missing`;
        `ProofError` if the written rows are not those of the inputs.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(session_date, allow_missing)
            except PublishConflictError:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def plan(self, session_date: date, allow_missing: bool = False) -> CompactionPlan:
        """Return the plan that `compact` would follow now; the errors are those of `compact`."""
        partition = self.partition(session_date)
        stored = partition.head()
        return _planned(partition, stored, partition.published(stored), allow_missing)

    def choose_engine(self, plan: CompactionPlan) -> ChosenEngine:
        """Choose by size; what the SQL engine can't take goes to this machine."""
        local = LocalEngine(self.lake, self.row_sort, self.progress, self.scratch)
        if self.sql_queries is None or plan.size <= self.sql_bytes:
            return ChosenEngine(local, "")
        by_sql = SqlEngine.of(self.lake, self.sql_queries, plan)
        objection = by_sql.objection(plan)
        return ChosenEngine(local, f"not by Athena: {objection}") if objection else ChosenEngine(by_sql, "")

    def _attempt(self, session_date: date, allow_missing: bool) -> CompactionReport:
        partition = self.partition(session_date)
        partition.point_catalog_at_head()
        stored = partition.head()
        published = partition.published(stored)
        plan = _planned(partition, stored, partition.confirmed(published) if published else None, allow_missing)
        if plan.is_empty:
            _set_unreadable_aside(partition, plan.base)  # a run may have died before it did
            return _nothing_to_do(plan)
        engine, why = self.choose_engine(plan)
        with engine.opened(plan) as inputs:
            _check_unreadable(plan, inputs.unreadable, allow_missing)
            written = inputs.write()
        etags = {each.key: each.etag for each in self.lake.list(written.target.prefix)}
        manifest = _manifest(plan, engine, inputs, written)
        manifest = replace(manifest, data_etags=tuple(etags.get(key, "") for key in manifest.data_keys))
        self.lake.put(written.target.manifest_key, manifest.to_json())
        partition.publish(stored, written.target.version, plan.generation)
        _set_unreadable_aside(partition, manifest)
        notes = [why] if why else []
        if manifest.lacks_columns:
            notes.append(
                f"columns of schema version {manifest.newest_schema_version} are left out: files that have them stay "
                "until a release that knows them compacts the session"
            )
        return _report(plan, inputs, written, tuple(notes))


def _planned(
    partition: SessionPartition, stored: StoredHead, published: Version | None, allow_missing: bool
) -> CompactionPlan:
    raw = partition.raw_files()
    if published is None:
        _check_head_was_not_lost(partition, raw)
        return plan_compaction(partition.session_date, raw, stored.head, None)
    if published.is_whole:
        return plan_compaction(partition.session_date, raw, stored.head, published.manifest)
    return _repair(partition, stored, published, raw, allow_missing)


def _repair(
    partition: SessionPartition, stored: StoredHead, damaged: Version, raw: Collection[InputFile], allow_missing: bool
) -> CompactionPlan:
    """Plan to make the damaged version again, from another whole version and the raw files."""
    others = [each for each in partition.versions() if each.name not in (damaged.name, *stored.head.deleted)]
    manifests = [each.manifest for each in (damaged, *others) if each.manifest]
    whole = [each.manifest for each in map(partition.confirmed, others) if each.manifest and each.is_whole]
    base, lost = best_version(whole, manifests, raw, damaged.manifest)
    if lost and damaged.has_data:
        base, lost = damaged.manifest, frozenset[InputFile]()
    if not allow_missing and (lost or damaged.manifest is None):
        what = (
            f"{len(lost):,} raw files that were in it are gone" if damaged.manifest else "so what it had is not known"
        )
        raise DamagedVersionError(
            f"session {partition.session_date}: version {damaged.name} is damaged ({damaged.damage}), {what}: restore "
            "the object (bucket versioning keeps it), or publish what is left with --allow-missing"
        )
    given_up = damaged.manifest.lost if damaged.manifest else ()
    return plan_compaction(partition.session_date, raw, stored.head, base, damaged.damage, {*lost, *given_up})


def _check_head_was_not_lost(partition: SessionPartition, raw: Collection[InputFile]) -> None:
    """Raise `HeadLostError` if a manifest names raw files that are gone, or is torn."""
    for version in partition.versions():
        if version.is_torn or (version.manifest and not {*version.manifest.inputs} <= {*raw}):
            what = "manifest can't be read" if version.is_torn else "raw files are gone"
            raise HeadLostError(
                f"session {partition.session_date} has version {version.name}, whose {what}, but no head: "
                "run `stock-pipeline catalog rebuild` first"
            )


def _manifest(plan: CompactionPlan, engine: Engine, inputs: Inputs, written: WrittenVersion) -> Manifest:
    unreadable = frozenset(inputs.unreadable)
    return Manifest(
        session_date=plan.session_date,
        version=written.target.version,
        replaces=plan.replaces,
        inputs=plan.inputs(unreadable),
        unreadable=plan.all_unreadable(unreadable),
        lost=plan.all_lost(),
        digest=written.digest,
        data_bytes=written.data_bytes,
        data_files=written.data_files,
        engine=engine.name,
        schema_version=SCHEMA_VERSION,
        newest_schema_version=max(
            SCHEMA_VERSION, inputs.schema_version, plan.base.newest_schema_version if plan.base else 1
        ),
    )


def _check_unreadable(plan: CompactionPlan, unreadable: Mapping[InputFile, str], allow_missing: bool) -> None:
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


def _set_unreadable_aside(partition: SessionPartition, published: Manifest | None) -> None:
    """Move unreadable raw files of the published version away: models read the session's folder for a while yet."""
    if published is not None and published.unreadable:
        partition.set_aside({*published.unreadable} & {*partition.raw_files()})


def _report(plan: CompactionPlan, inputs: Inputs, written: WrittenVersion, notes: tuple[str, ...]) -> CompactionReport:
    return CompactionReport(
        session_date=plan.session_date,
        version=written.target.version,
        files_in=len(plan.new_files),
        files_out=len(written.data_files),
        bytes_in=sum(file.size for file in plan.new_files),
        bytes_out=written.data_bytes,
        rows_in=written.rows_in,
        rows_out=written.digest.rows,
        duplicates=written.rows_in - written.digest.rows,
        volume=written.digest.shares,
        unreadable=tuple(sorted(file.key for file in (*inputs.unreadable, *plan.lost))),
        unsorted=written.unsorted,
        ignored=inputs.ignored,
        repaired=plan.damage,
        notes=notes,
        published=True,
    )


def _nothing_to_do(plan: CompactionPlan) -> CompactionReport:
    digest = plan.base.digest if plan.base else TradesDigest()
    return CompactionReport(
        session_date=plan.session_date,
        version=plan.base.version if plan.base else "",
        files_in=0,
        files_out=0,
        bytes_in=0,
        bytes_out=0,
        rows_in=digest.rows,
        rows_out=digest.rows,
        duplicates=0,
        volume=digest.shares,
        unreadable=(),
        unsorted=(),
        ignored=(),
        repaired="",
        notes=(),
        published=False,
    )
