"""Publishes a version: first the head, on condition, then the catalog.

The catalog can't be changed on condition, so an overtaken run may write an old location over a new one. But each run
that writes the catalog reads the head again afterwards, and corrects what differs. If the last writer dies in between,
readers have an old version, whole, until the next run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from stock_pipeline.domain.lake_layout import VersionPrefix, version_of_key
from stock_pipeline.errors import PublishConflictError, RetryableError
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.partition_heads import PartitionHeads, StoredHead

_ROUNDS = 20


@dataclass(frozen=True)
class Publication:
    lake: Lake
    catalog: Catalog
    now: Callable[[], datetime]

    @property
    def heads(self) -> PartitionHeads:
        return PartitionHeads(self.lake)

    def publish(self, stored: StoredHead, version: str) -> None:
        """Publish the version; `PublishConflictError` if the head changed since it was read."""
        self.heads.change(stored, stored.head.publishing(version))
        self.point_catalog_at_head(stored.session_date)

    def point_catalog_at_head(self, session_date: date) -> None:
        """Point readers where the head points."""
        for _ in range(_ROUNDS):
            stored = self.heads.read(session_date)
            if stored.head.version is None or self._is_confirmed(stored):
                return
        raise RetryableError(f"session {session_date} is being published by other runs all the time; try again")

    def _is_confirmed(self, stored: StoredHead) -> bool:
        """Bring head and catalog one step nearer; return whether they agree."""
        head, session_date = stored.head, stored.session_date
        wanted = self.lake.uri(VersionPrefix(session_date, str(head.version)).prefix)
        location = self.catalog.published_location(session_date)
        try:
            if location == wanted:
                if head.catalog_confirmed_at is None:
                    self.heads.change(stored, head.confirmed(self.now()))
                return True
            if head.catalog_confirmed_at is not None:
                self.heads.change(stored, head.unconfirmed(_version(location)))
            else:
                self.catalog.publish(session_date, wanted)
        except PublishConflictError:
            pass
        return False


def _version(location: str | None) -> str | None:
    return version_of_key(location.rstrip("/") + "/") if location else None
