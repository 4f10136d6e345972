"""Garbage collection: deletes what `domain.garbage_plan` says, partition by partition.

A crash leaves work for the next run. Before a version is deleted, the head's generation is raised, so that a run that
is writing the same version can't publish it and plans again under another name.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from stock_pipeline.domain.compaction_plan import InputFile, Manifest
from stock_pipeline.domain.garbage_plan import GarbagePlan, VersionObjects, plan_garbage_collection
from stock_pipeline.domain.lake_layout import (
    CURATED_PREFIX,
    MANIFEST_FILE,
    VersionPrefix,
    raw_partition_prefix,
    session_date_of_key,
    session_folder,
    session_name,
    unreadable_key,
    version_of_key,
)
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.errors import PublishConflictError
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.partition_heads import PartitionHeads, StoredHead
from stock_pipeline.lake.session_failures import SessionFailures

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

        Raises at the end, with all names of sessions that failed.
        """
        failures = SessionFailures()
        for folder, listed in self._sessions():
            garbage = None
            with failures.of(session_name(folder)):
                garbage = self._collect(session_date_of_key(folder), listed, dry_run)
            if garbage is not None:
                yield garbage
        failures.raise_all()

    def _collect(self, session_date: date, listed: Iterable[ListedObject], dry_run: bool) -> SessionGarbage | None:
        stored = self._heads.read(session_date)
        plan = self._plan(stored, listed)
        if self.keep_raw:
            plan = plan.keeping_raw_files()
        if plan.is_empty or not (dry_run or self._deleted(stored, plan)):
            return None
        unreadable = tuple(file.key for file in plan.unreadable)
        return SessionGarbage(session_date, tuple(sorted(plan.versions)), len(plan.compacted), unreadable, plan.size)

    @property
    def _heads(self) -> PartitionHeads:
        return PartitionHeads(self.lake)

    def _sessions(self) -> Iterator[tuple[str, list[ListedObject]]]:
        """Yield the folders of sessions with curated objects, which a listing sorts by folder."""
        listing = self.lake.list(CURATED_PREFIX)
        for folder, listed in groupby(listing, key=lambda each: session_folder(each.key)):
            yield folder, list(listed)

    def _plan(self, stored: StoredHead, listed: Iterable[ListedObject]) -> GarbagePlan:
        session_date, head = stored.session_date, stored.head
        published = None
        if head.version is not None:
            manifest_key = VersionPrefix(session_date, head.version).manifest_key
            published = Manifest.from_json(self.lake.get(manifest_key))
        location = self.catalog.published_location(session_date)
        raw, versions = self._raw(session_date), _versions(listed)
        if published is None:
            versions = {name: each for name, each in versions.items() if self._is_replaceable(each, frozenset(raw))}
        return plan_garbage_collection(
            session_date=session_date,
            head=head,
            published=published,
            catalog_version=version_of_key(location.rstrip("/") + "/") if location else None,
            versions=versions,
            raw=raw,
            now=self.now(),
            grace=self.grace,
        )

    def _is_replaceable(self, version: VersionObjects, raw: frozenset[InputFile]) -> bool:
        """Tell if all raw files of an unpublished version are there; else it may be the only copy."""
        manifests = (key for key in version.keys if key.endswith("/" + MANIFEST_FILE))
        return all(raw.issuperset(Manifest.from_json(self.lake.get(key)).inputs) for key in manifests)

    def _raw(self, session_date: date) -> list[InputFile]:
        listing = self.lake.list(raw_partition_prefix(session_date))
        return [InputFile.of(listed) for listed in listing]

    def _deleted(self, stored: StoredHead, plan: GarbagePlan) -> bool:
        """Carry the plan out; return False if another run changed the partition meanwhile."""
        if plan.versions:
            try:
                self._heads.change(stored, stored.head.deleting(frozenset(plan.versions)))
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


def _versions(listed: Iterable[ListedObject]) -> dict[str, VersionObjects]:
    found: dict[str, VersionObjects] = {}
    for each in listed:
        version = version_of_key(each.key)
        if version is not None:
            so_far = found.get(version, VersionObjects((), 0, each.modified))
            newest = max(so_far.newest, each.modified)
            found[version] = VersionObjects((*so_far.keys, each.key), so_far.size + each.size, newest)
    return found
