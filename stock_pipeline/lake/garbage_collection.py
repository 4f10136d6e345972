"""Garbage collection: deletes what `domain.garbage_plan` says, partition by partition.

A crash leaves work for the next run. Before a version is deleted, the head's generation is raised, so that a run that
is writing the same version can't publish it and plans again under another name.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.garbage_plan import GarbagePlan, VersionObjects, plan_garbage_collection
from stock_pipeline.domain.lake_layout import CURATED_PREFIX, MANIFEST_FILE, unreadable_key
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.errors import DamagedVersionError, PublishConflictError, StockPipelineError
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.session_partition import (
    SessionPartition,
    StoredHead,
    Version,
    by_session,
    stray,
    version_of_location,
    versions_of,
)

DEFAULT_GRACE = timedelta(days=3)
"""Athena stops a query after 30 minutes, a Dagster run takes hours; days leave room for a mishap."""


class SessionGarbage(NamedTuple):
    """Garbage of one session."""

    session_date: date
    versions: tuple[str, ...]
    raw_files: int
    unreadable: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class GarbageCollector:
    """Deletes the garbage of every session.

    keep_raw: delete no raw files, because the bucket's lifecycle does.
    """

    lake: Lake
    catalog: Catalog
    now: Callable[[], datetime]
    grace: timedelta = DEFAULT_GRACE
    keep_raw: bool = False

    def collect(self, dry_run: bool = False) -> Iterator[SessionGarbage]:
        """Yield each session that has garbage, after deleting it; with `dry_run`, delete nothing.

        Of a session whose published version is damaged nothing is deleted. Raises `DamagedVersionError` at the end,
        with the names of all sessions whose garbage could not be collected.
        """
        failures: list[str] = []
        for session_date, listed in by_session(self.lake.list(CURATED_PREFIX)):
            if session_date is None:
                failures += stray(listed)
                continue
            partition = SessionPartition(self.lake, self.catalog, self.now, session_date)
            try:
                done = self._collected(partition, listed, dry_run)
            except StockPipelineError as error:
                failures.append(str(error))
                continue
            if done is not None:
                yield done
        if failures:
            raise DamagedVersionError(f"garbage could not be collected everywhere ({'; '.join(failures)})")

    def _collected(
        self, partition: SessionPartition, listed: Iterable[ListedObject], dry_run: bool
    ) -> SessionGarbage | None:
        stored = partition.head()
        published = partition.published(stored)
        plan = self._plan(partition, stored, published, listed)
        if published is not None and not plan.is_empty:
            # what goes may be the only whole copy
            published = partition.confirmed(published)
        if published is not None and not published.is_whole:
            raise DamagedVersionError(
                f"session {partition.session_date}: version {published.name} is damaged ({published.damage}), and "
                f"nothing was deleted: run `stock-pipeline compact --session {partition.session_date}`, which makes "
                "it again or says what is lost"
            )
        if plan.is_empty or not (dry_run or self._deleted(partition, stored, plan)):
            return None
        unreadable = tuple(file.key for file in plan.unreadable)
        return SessionGarbage(
            partition.session_date, tuple(sorted(plan.versions)), len(plan.compacted), unreadable, plan.size
        )

    def _plan(
        self, partition: SessionPartition, stored: StoredHead, published: Version | None, listed: Iterable[ListedObject]
    ) -> GarbagePlan:
        raw = partition.raw_files()
        versions = {name: VersionObjects.of(objects) for name, objects in versions_of(listed).items()}
        if stored.head.version is None:
            versions = {name: each for name, each in versions.items() if _is_replaceable(partition.version(name), raw)}
        plan = plan_garbage_collection(
            session_date=partition.session_date,
            head=stored.head,
            published=published.manifest if published else None,
            catalog_version=version_of_location(self.catalog.published_location(partition.session_date)),
            versions=versions,
            raw=raw,
            now=self.now(),
            grace=self.grace,
        )
        return plan.keeping_raw_files() if self.keep_raw else plan

    def _deleted(self, partition: SessionPartition, stored: StoredHead, plan: GarbagePlan) -> bool:
        """Carry the plan out; return False if another run changed the partition meanwhile."""
        if plan.versions:
            try:
                partition.change_head(stored, stored.head.deleting(frozenset(plan.versions)))
            except PublishConflictError:
                return False
        for version in plan.versions.values():
            # the manifest first, so that a version in parts is never taken for a whole one
            self.lake.delete(key for key in version.keys if key.endswith("/" + MANIFEST_FILE))
            self.lake.delete(version.keys)
        for file in plan.unreadable:
            self.lake.copy(file.key, unreadable_key(file.key))
        # a raw key is written only while it is free, so the listed object is the deleted one
        self.lake.delete(file.key for file in (*plan.unreadable, *plan.compacted))
        return True


def _is_replaceable(version: Version, raw: Collection[InputFile]) -> bool:
    """Tell if an unpublished version's raw files are all there; else it may be the only copy."""
    if version.is_torn:
        return False
    return version.manifest is None or {*version.manifest.inputs} <= {*raw}
