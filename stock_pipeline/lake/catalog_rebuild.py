"""Rebuilds the catalog from heads, or from manifests where a head is lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import NamedTuple

from stock_pipeline.domain.compaction_plan import InputFile, Manifest
from stock_pipeline.domain.head_choice import version_to_publish
from stock_pipeline.domain.lake_layout import (
    CURATED_PREFIX,
    MANIFEST_FILE,
    VersionPrefix,
    raw_partition_prefix,
    session_date_of_key,
    session_folder,
    session_name,
)
from stock_pipeline.errors import HeadLostError
from stock_pipeline.lake.publication import Publication
from stock_pipeline.lake.session_failures import SessionFailures
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
    publication: Publication
    unpublished: UnpublishedSessions

    def run(self) -> Rebuilt:
        """Register every session that has a published version and point its readers there, then every unpublished one.

        Raises at the end, with all names of sessions that failed, or have no version to publish.
        """
        failures = SessionFailures()
        locations: dict[date, str] = {}
        restored = 0
        for folder, keys in self._sessions():
            with failures.of(session_name(folder)):
                session_date = session_date_of_key(folder)
                version, is_new = self._version(session_date, keys)
                restored += is_new
                if version is not None:
                    locations[session_date] = self.publication.lake.uri(VersionPrefix(session_date, version).prefix)
        registered = 0
        with failures.of("registration"):
            registered = self.publication.catalog.register(locations)
        for session_date in locations:
            with failures.of(session_date):
                self.publication.point_catalog_at_head(session_date)
        refreshed = Refreshed(0, 0)
        with failures.of("unpublished sessions"):
            refreshed = self.unpublished.refresh(raw_folders(self.unpublished.lake))
        failures.raise_all()
        return Rebuilt(len(locations), registered, restored, refreshed.registered)

    def _version(self, session_date: date, keys: Sequence[str]) -> tuple[str | None, bool]:
        """Return the version to show readers, if there is one, and whether its head was lost and is made anew."""
        stored = self.publication.heads.read(session_date)
        if stored.head.version is not None:
            return stored.head.version, False
        manifest = self._choose(session_date, keys)
        if manifest is None:
            if _manifest_keys(keys):
                raise HeadLostError(
                    "no version has all raw files that its manifests name: restore the deleted objects (bucket "
                    "versioning keeps them), then run again"
                )
            return None, False
        self.publication.heads.change(stored, stored.head.publishing(manifest.version))
        return manifest.version, True

    def _sessions(self) -> Iterator[tuple[str, list[str]]]:
        keys = (listed.key for listed in self.publication.lake.list(CURATED_PREFIX))
        for folder, of_session in groupby(keys, key=session_folder):
            yield folder, list(of_session)

    def _choose(self, session_date: date, keys: Sequence[str]) -> Manifest | None:
        lake = self.publication.lake
        manifests = [Manifest.from_json(lake.get(key)) for key in _manifest_keys(keys)]
        whole = [each for each in manifests if set(each.data_keys) <= set(keys)]
        raw = [InputFile.of(each) for each in lake.list(raw_partition_prefix(session_date))]
        chosen = version_to_publish(manifests, raw)
        return chosen if chosen in whole else version_to_publish(whole, raw)


def _manifest_keys(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if key.endswith("/" + MANIFEST_FILE)]
