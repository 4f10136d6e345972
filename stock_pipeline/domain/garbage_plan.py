"""Plans the garbage collection of one partition from its head, its listings and the time.

Whatever a pointer names stays, and for a grace period what an older query may read. Without a confirmed catalog
location nothing goes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from stock_pipeline.domain.compaction_plan import InputFile, Manifest
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.partition_head import PartitionHead


@dataclass(frozen=True, slots=True)
class VersionObjects:
    """The objects under one version's prefix.

    newest: when the last one was written; None without objects.
    """

    keys: tuple[str, ...]
    size: int
    newest: datetime | None

    @classmethod
    def of(cls, listed: Collection[ListedObject]) -> "VersionObjects":
        newest = max((each.modified for each in listed), default=None)
        return cls(tuple(each.key for each in listed), sum(each.size for each in listed), newest)


@dataclass(frozen=True, slots=True)
class GarbagePlan:
    """What to delete.

    versions: superseded ones, and those that were never published.
    compacted: raw files whose trades are in the published version.
    unreadable: raw files that it lacks; they are moved, not deleted.
    """

    session_date: date
    versions: Mapping[str, VersionObjects]
    compacted: tuple[InputFile, ...]
    unreadable: tuple[InputFile, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.versions or self.compacted or self.unreadable)

    @property
    def size(self) -> int:
        files = (*self.compacted, *self.unreadable)
        return sum(version.size for version in self.versions.values()) + sum(file.size for file in files)


def plan_garbage_collection(
    session_date: date,
    head: PartitionHead,
    published: Manifest | None,
    catalog_version: str | None,
    versions: Mapping[str, VersionObjects],
    raw: Iterable[InputFile],
    now: datetime,
    grace: timedelta,
) -> GarbagePlan:
    """Plan the deletions.

    catalog_version: the version that the catalog points readers at.
    """
    nothing = GarbagePlan(session_date, {}, (), ())
    if catalog_version != head.version or (head.version is not None and head.catalog_confirmed_at is None):
        return nothing
    if published is not None and published.lacks_columns:
        return nothing  # a newer release makes the version again from what is there
    latest = now - grace
    superseded = {old.version: old.since for old in head.superseded}
    old_versions = {
        name: objects
        for name, objects in versions.items()
        if name != head.version and _before(superseded.get(name, objects.newest), latest)
    }
    if published is None or not _before(head.catalog_confirmed_at, latest):
        return GarbagePlan(session_date, old_versions, (), ())
    compacted, unreadable = frozenset(published.inputs), frozenset(published.unreadable)
    listed = sorted(raw)
    return GarbagePlan(
        session_date,
        old_versions,
        tuple(file for file in listed if file in compacted),
        tuple(file for file in listed if file in unreadable),
    )


def _before(time: datetime | None, latest: datetime) -> bool:
    return time is not None and time <= latest
