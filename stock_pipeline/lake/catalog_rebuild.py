"""Rebuilds the catalog from heads, or from manifests where a head is lost."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from stock_pipeline.domain.head_choice import best_version
from stock_pipeline.domain.lake_layout import (
    CURATED_PREFIX,
    VersionPrefix,
    session_name,
)
from stock_pipeline.domain.partition_head import PartitionHead
from stock_pipeline.errors import DamagedVersionError, HeadLostError
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.lake.session_partition import SessionPartition, curated_folders, session_of_folder
from stock_pipeline.lake.unpublished_sessions import Refreshed, UnpublishedSessions, raw_folders


class Rebuilt(NamedTuple):
    """Counts of one rebuild.

    heads: how many were written again.
    unpublished: how many unpublished sessions were registered.
    """

    sessions: int
    registered: int
    heads: int
    unpublished: int


@dataclass(frozen=True)
class CatalogRebuild:
    lake: Lake
    catalog: Catalog
    now: Callable[[], datetime]
    unpublished: UnpublishedSessions

    def run(self) -> Rebuilt:
        """Register every session that has a published version and point its readers there, then every unpublished one.

        Raises at the end, with all names of sessions that failed, or have no whole version to publish.
        """
        failures = SessionFailures()
        locations: dict[date, str] = {}
        restored = 0
        for folder, _ in curated_folders(self.lake.list(CURATED_PREFIX)):
            with failures.of(session_name(folder)):
                partition = self._partition(session_of_folder(folder))
                version, head_written = _version_of(partition)
                restored += head_written
                if version is not None:
                    place = VersionPrefix(partition.session_date, version)
                    locations[partition.session_date] = self.lake.uri(place.prefix)
        registered = 0
        with failures.of("registration"):
            registered = self.catalog.register(locations)
        for session_date in locations:
            with failures.of(session_date):
                self._partition(session_date).point_catalog_at_head()
        refreshed = Refreshed(0, 0)
        with failures.of("unpublished sessions"):
            refreshed = self.unpublished.refresh(raw_folders(self.unpublished.lake))
        failures.raise_all()
        return Rebuilt(len(locations), registered, restored, refreshed.registered)

    def _partition(self, session_date: date) -> SessionPartition:
        return SessionPartition(self.lake, self.catalog, self.now, session_date)


def _version_of(partition: SessionPartition) -> tuple[str | None, bool]:
    """Return the session's published version, None without any, and whether its head was written again."""
    stored = partition.head()
    if stored.head.version is not None:
        published = partition.confirmed(partition.version(stored.head.version))
        if published.damage:
            raise DamagedVersionError(
                f"session {partition.session_date}: version {published.name} is damaged ({published.damage}): run "
                f"`stock-pipeline compact --session {partition.session_date}`, which makes it again or says what is "
                "lost"
            )
        return published.name, False
    version = _best_version(partition, stored.head)
    if version is not None:
        partition.change_head(stored, stored.head.publishing(version))
    return version, version is not None


def _best_version(partition: SessionPartition, head: PartitionHead) -> str | None:
    """Return the version to publish where the head names none.

    Versions that a deletion began with are left out: they may be half there, or gone in a moment.
    """
    versions = [each for each in partition.versions() if each.name not in head.deleted]
    manifests = [each.manifest for each in versions if each.manifest]
    whole = [each.manifest for each in map(partition.confirmed, versions) if each.manifest and each.is_whole]
    raw = partition.raw_files()
    chosen, lost = best_version(whole, manifests, raw)
    torn = [each.place.manifest_key for each in versions if each.is_torn]
    if lost or torn:
        troubles = ["no version has all raw files that its manifests name"] if lost else []
        troubles += [f"{', '.join(torn)} can't be read"] if torn else []
        otherwise = "; a manifest that is lost may be deleted if no raw file of the session was ever collected"
        raise HeadLostError(
            f"session {partition.session_date}: {', and '.join(troubles)}: restore the deleted objects (bucket "
            f"versioning keeps them), then run again{otherwise if torn else ''}"
        )
    return chosen.version if chosen else None
