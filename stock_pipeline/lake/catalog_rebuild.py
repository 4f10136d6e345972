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
)
from stock_pipeline.errors import HeadLostError
from stock_pipeline.lake.publication import Publication
from stock_pipeline.lake.unpublished_sessions import UnpublishedSessions, raw_folders


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

        Raises `HeadLostError`, at the end, for sessions without a version to publish.
        """
        locations: dict[date, str] = {}
        restored, lost = 0, []
        for session_date, keys in self._sessions():
            stored = self.publication.heads.read(session_date)
            version = stored.head.version
            if version is None:
                manifest = self._choose(session_date, keys)
                if manifest is None:
                    if _manifest_keys(keys):
                        lost.append(session_date)
                    continue
                version = manifest.version
                self.publication.heads.change(stored, stored.head.publishing(version))
                restored += 1
            locations[session_date] = self.publication.lake.uri(VersionPrefix(session_date, version).prefix)
        registered = self.publication.catalog.register(locations)
        for session_date in locations:
            self.publication.point_catalog_at_head(session_date)
        refreshed = self.unpublished.refresh(raw_folders(self.unpublished.lake))
        if lost:
            raise HeadLostError(
                f"no version of {', '.join(map(str, lost))} has all raw files that its manifests name: restore the "
                "deleted objects (bucket versioning keeps them), then run again"
            )
        return Rebuilt(len(locations), registered, restored, refreshed.registered)

    def _sessions(self) -> Iterator[tuple[date, list[str]]]:
        keys = (listed.key for listed in self.publication.lake.list(CURATED_PREFIX))
        for session_date, of_session in groupby(keys, key=session_date_of_key):
            yield session_date, list(of_session)

    def _choose(self, session_date: date, keys: Sequence[str]) -> Manifest | None:
        lake = self.publication.lake
        manifests = [Manifest.from_json(lake.get(key)) for key in _manifest_keys(keys)]
        whole = [each for each in manifests if set(each.data_keys) <= set(keys)]
        raw = [InputFile.of(each) for each in lake.list(raw_partition_prefix(session_date))]
        chosen = version_to_publish(manifests, raw)
        return chosen if chosen in whole else version_to_publish(whole, raw)


def _manifest_keys(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if key.endswith("/" + MANIFEST_FILE)]
