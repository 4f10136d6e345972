"""Garbage collection: deletes what `domain.garbage_plan` says, partition by partition.

A crash leaves work for the next run. Before a version is deleted, the head's generation is raised, so that a run that
is writing the same version can't publish it and plans again under another name.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.garbage_plan import GarbagePlan, VersionObjects, plan_garbage_collection
from stock_pipeline.domain.lake_layout import (
    CURATED_PREFIX,
    MANIFEST_FILE,
    expiring_key,
    session_name,
)
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.errors import DamagedVersionError, PublishConflictError
from stock_pipeline.lake.expiring_files import ExpiringFiles
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.lake.session_partition import (
    SessionPartition,
    StoredHead,
    Version,
    curated_folders,
    session_of_folder,
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

    expire_raw: tag compacted raw files instead of deleting them, because the bucket's lifecycle does.
    """

    lake: Lake
    catalog: Catalog
    now: Callable[[], datetime]
    grace: timedelta = DEFAULT_GRACE
    expire_raw: bool = False

    def collect(self, dry_run: bool = False) -> Iterator[SessionGarbage]:
        """Yield each session that has garbage, after deleting it; with `dry_run`, delete nothing.

        Raises at the end, with all names of sessions that failed. Of one whose published version is damaged nothing is
        deleted.
        """
        failures = SessionFailures()
        for folder, listed in curated_folders(self.lake.list(CURATED_PREFIX)):
            garbage = None
            with failures.of(session_name(folder)):
                partition = SessionPartition(self.lake, self.catalog, self.now, session_of_folder(folder))
                garbage = self._collect(partition, listed, dry_run)
            if garbage is not None:
                yield garbage
        failures.raise_all()

    def _collect(
        self, partition: SessionPartition, listed: Sequence[ListedObject], dry_run: bool
    ) -> SessionGarbage | None:
        stored = partition.head()
        published = partition.published(stored)
        raw = partition.raw_files()
        plan = self._plan(partition, stored, published, listed, raw)
        if published is not None and not plan.is_empty:
            # what goes may be the only whole copy
            published = partition.confirmed(published)
        if published is not None and not published.is_whole:
            raise DamagedVersionError(
                f"version {published.name} is damaged ({published.damage}), so nothing of the session was deleted: run "
                f"`stock-pipeline compact --session {partition.session_date}`, which makes it again, or says what is "
                "lost"
            )
        if not (raw or dry_run) and any(each.key == expiring_key(partition.session_date) for each in listed):
            ExpiringFiles(self.lake, partition.session_date).forget()
        if plan.is_empty or not (dry_run or self._deleted(partition, stored, plan, raw)):
            return None
        unreadable = tuple(file.key for file in plan.unreadable)
        versions = tuple(sorted(plan.versions))
        return SessionGarbage(partition.session_date, versions, len(plan.compacted), unreadable, plan.size)

    def _plan(
        self,
        partition: SessionPartition,
        stored: StoredHead,
        published: Version | None,
        listed: Iterable[ListedObject],
        raw: Collection[InputFile],
    ) -> GarbagePlan:
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
        if self.expire_raw:
            tags = ExpiringFiles(self.lake, partition.session_date)
            plan = replace(plan, compacted=tags.without_tag(plan.compacted))
        return plan

    def _deleted(
        self, partition: SessionPartition, stored: StoredHead, plan: GarbagePlan, raw: Collection[InputFile]
    ) -> bool:
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
        partition.set_aside(plan.unreadable)
        # a raw key is written only while it is free, so the listed object is the deleted one
        if self.expire_raw:
            ExpiringFiles(self.lake, partition.session_date).tag(plan.compacted, raw)
        else:
            self.lake.delete(file.key for file in plan.compacted)
        return True


def _is_replaceable(version: Version, raw: Collection[InputFile]) -> bool:
    """Tell if an unpublished version's raw files are all there; else it may be the only copy."""
    if version.is_torn:
        return False
    return version.manifest is None or {*version.manifest.inputs} <= {*raw}
