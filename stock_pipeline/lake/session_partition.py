"""A session's trades in the lake: raw files, versions, the head that names the published one, and its publication.

Whoever wants to know what a version holds asks here, so that there is one answer.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby

from stock_pipeline.domain.compaction_plan import InputFile, Manifest
from stock_pipeline.domain.garbage_plan import VersionObjects
from stock_pipeline.domain.lake_layout import (
    MANIFEST_FILE,
    VersionPrefix,
    curated_partition_prefix,
    head_key,
    raw_partition_prefix,
    session_date_of_key,
    session_folder,
    unreadable_key,
    version_of_key,
)
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.partition_head import PartitionHead
from stock_pipeline.errors import HeadLostError, InputFileError, PublishConflictError, RetryableError
from stock_pipeline.lake.footers import footer
from stock_pipeline.lake.lake_access import Catalog, Lake
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, one_line
from stock_pipeline.lake.raw_file_gate import judge_file

_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A head with the etag it was read with; None if there was no head."""

    head: PartitionHead
    etag: str | None


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it lies in the lake.

    manifest: None if it is missing or torn.
    damage: why readers would not find what was proved, or "".
    has_data: its data files are there, whatever else is wrong.
    """

    place: VersionPrefix
    objects: VersionObjects
    manifest: Manifest | None
    damage: str
    has_data: bool = False

    @property
    def name(self) -> str:
        return self.place.version

    @property
    def is_whole(self) -> bool:
        return not self.damage

    @property
    def is_torn(self) -> bool:
        """Tell if there is a manifest that can't be read, so that nobody knows which raw files it names."""
        return self.manifest is None and self.place.manifest_key in self.objects.keys


@dataclass(frozen=True)
class SessionPartition:
    lake: Lake
    catalog: Catalog
    now: Callable[[], datetime]
    session_date: date

    def raw_files(self) -> list[InputFile]:
        return [InputFile.of(listed) for listed in self.raw_objects()]

    def raw_objects(self) -> list[ListedObject]:
        listing = self.lake.list(raw_partition_prefix(self.session_date))
        return [listed for listed in listing if listed.key.endswith(".parquet")]

    def head(self) -> StoredHead:
        """Read the head; `HeadLostError` if it is torn."""
        found = self.lake.read(head_key(self.session_date))
        if found is None:
            return StoredHead(PartitionHead(), None)
        try:
            return StoredHead(PartitionHead.from_json(found[0]), found[1])
        except ValueError as error:
            raise HeadLostError(
                f"session {self.session_date}: {head_key(self.session_date)} can't be read ({error}): delete it, and "
                "run `stock-pipeline catalog rebuild`, which writes it anew"
            ) from error

    def change_head(self, stored: StoredHead, head: PartitionHead) -> None:
        """Replace the head that was read; `PublishConflictError` if another run changed it first."""
        key, body = head_key(self.session_date), head.to_json()
        if stored.etag is None:
            changed = self.lake.put_if_absent(key, body)
        else:
            changed = self.lake.replace(key, body, stored.etag)
        if not changed:
            raise PublishConflictError(f"session {self.session_date} was changed by another run meanwhile; run again")

    def versions(self) -> list[Version]:
        """Return every version there is, published or not."""
        objects = versions_of(self.lake.list(curated_partition_prefix(self.session_date)))
        return [self._examined(name, listed) for name, listed in sorted(objects.items())]

    def version(self, name: str) -> Version:
        return self._examined(name, tuple(self.lake.list(VersionPrefix(self.session_date, name).prefix)))

    def published(self, stored: StoredHead | None = None) -> Version | None:
        """Return the version that the head names; None before the first."""
        name = (stored or self.head()).head.version
        return None if name is None else self.version(name)

    def confirmed(self, version: Version) -> Version:
        """Return the version after a look into its files: their columns and the number of their rows."""
        if version.manifest is None or version.damage:
            return version
        rows = 0
        for key in version.manifest.data_keys:
            try:
                verdict = judge_file(footer(self.lake, key))
            except BROKEN_FILE as error:
                return _without_data(version, f"{key} can't be read ({one_line(error)})")
            if verdict.refused:
                return _without_data(version, f"{key} can't be read: {verdict.refused}")
            rows += verdict.rows
        if rows != version.manifest.digest.rows:
            return _without_data(version, f"it has {rows:,} rows, its manifest says {version.manifest.digest.rows:,}")
        return version

    def publish(self, stored: StoredHead, version: str, generation: int | None = None) -> None:
        """Publish the version: first the head, on condition, then the catalog.

        Raises `PublishConflictError` if the head changed since it was read.
        """
        self.change_head(stored, stored.head.publishing(version, generation))
        self.point_catalog_at_head()

    def set_aside(self, files: Iterable[InputFile]) -> tuple[str, ...]:
        """Move raw files that readers can't read to the quarantine, and return their keys.

        A file that is gone or was replaced meanwhile stays as it is. A crash leaves a file in both places.
        """
        moved = []
        for file in files:
            found = self.lake.read(file.key)
            if found is None or found[1] != file.etag:
                continue
            self.lake.put(unreadable_key(file.key), found[0])
            self.lake.delete([file.key])
            moved.append(file.key)
        return tuple(moved)

    def point_catalog_at_head(self) -> None:
        """Point readers where the head points.

        The catalog can't be changed on condition, so an overtaken run may write an old location over a new one. But
        each run that writes the catalog reads the head again afterwards, and corrects what differs. If the last writer
        dies in between, readers have an old version, whole, until the next run.
        """
        for _ in range(_ROUNDS):
            stored = self.head()
            if stored.head.version is None or self._is_confirmed(stored):
                return
        raise RetryableError(f"session {self.session_date} is being published by other runs all the time; try again")

    def _is_confirmed(self, stored: StoredHead) -> bool:
        """Bring head and catalog one step nearer; return whether they agree."""
        head = stored.head
        wanted = self.lake.uri(VersionPrefix(self.session_date, str(head.version)).prefix)
        location = self.catalog.published_location(self.session_date)
        try:
            if location == wanted:
                if head.catalog_confirmed_at is None:
                    self.change_head(stored, head.confirmed(self.now()))
                return True
            if head.catalog_confirmed_at is not None:
                self.change_head(stored, head.unconfirmed(version_of_location(location)))
            else:
                self.catalog.publish(self.session_date, wanted)
        except PublishConflictError:
            pass
        return False

    def _examined(self, name: str, listed: tuple[ListedObject, ...]) -> Version:
        place = VersionPrefix(self.session_date, name)
        objects = VersionObjects.of(listed)
        found = self.lake.read(place.manifest_key)
        if found is None:
            return Version(place, objects, None, f"{place.prefix}{MANIFEST_FILE} is missing")
        try:
            manifest = Manifest.from_json(found[0])
        except ValueError as error:
            return Version(place, objects, None, f"{place.prefix}{MANIFEST_FILE} can't be read ({str(error)[:200]})")
        if manifest.place != place:
            return Version(place, objects, None, f"{place.prefix}{MANIFEST_FILE} is that of {manifest.place.prefix}")
        version = Version(place, objects, manifest, manifest.damage(listed), has_data=not manifest.data_damage(listed))
        # a restored copy may have another etag, too
        return self.confirmed(version) if manifest.is_rewritten(listed) else version


def _without_data(version: Version, damage: str) -> Version:
    return replace(version, damage=damage, has_data=False)


def curated_folders(listing: Iterable[ListedObject]) -> Iterator[tuple[str, list[ListedObject]]]:
    """Yield curated objects by the folder of their session, by which a listing sorts them."""
    objects = (each for each in listing if not each.key.endswith("/"))  # a console's mark of a folder
    return ((folder, list(some)) for folder, some in groupby(objects, lambda each: session_folder(each.key)))


def session_of_folder(folder: str) -> date:
    """Return the session of a curated folder; `InputFileError` if it is none's."""
    try:
        session_date = session_date_of_key(folder)
    except ValueError:
        session_date = None
    if session_date is None or folder != curated_partition_prefix(session_date):
        raise InputFileError(f"{folder.rstrip('/')} is no object of a session: move it away")
    return session_date


def versions_of(listed: Iterable[ListedObject]) -> dict[str, tuple[ListedObject, ...]]:
    """Return the objects of each version."""
    found: dict[str, list[ListedObject]] = {}
    for each in listed:
        version = version_of_key(each.key)
        if version is not None:
            found.setdefault(version, []).append(each)
    return {version: tuple(objects) for version, objects in found.items()}


def version_of_location(location: str | None) -> str | None:
    """Return the version that a catalog location leads to."""
    return version_of_key(location.rstrip("/") + "/") if location else None
