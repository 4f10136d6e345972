"""Interfaces of the object store and the catalog."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from stock_pipeline.domain.listed_object import ListedObject


class Lake(Protocol):
    """`put_if_absent`, `replace` and `upload_if_absent` return whether they wrote the object.

    `tail` returns the object's last bytes, or all of a smaller one. It and `download` raise `RetryableError` if the
    object is gone or has another etag. `tag` replaces all tags, and passes over missing objects.
    """

    def list(self, prefix: str) -> Iterable[ListedObject]: ...
    def get(self, key: str) -> bytes: ...
    def tail(self, key: str, size: int, etag: str | None = None) -> bytes: ...
    def read(self, key: str) -> tuple[bytes, str] | None: ...
    def put(self, key: str, body: bytes) -> None: ...
    def put_if_absent(self, key: str, body: bytes) -> bool: ...
    def replace(self, key: str, body: bytes, etag: str) -> bool: ...
    def upload_if_absent(self, key: str, path: Path) -> bool: ...
    def download(self, key: str, path: Path, etag: str | None = None) -> None: ...
    def tag(self, keys: Iterable[str], name: str, value: str) -> None: ...
    def delete(self, keys: Iterable[str]) -> None: ...
    def uri(self, key: str) -> str: ...


class Catalog(Protocol):
    def published_location(self, session_date: date) -> str | None:
        """Return the URI that readers are sent to, or None if the partition is not registered."""

    def publish(self, session_date: date, location: str) -> None:
        """Point readers at the location, in one step."""

    def register(self, locations: Mapping[date, str]) -> int:
        """Register partitions that are not registered yet, and return their number."""


class Folders(Protocol):
    """The part of an object store that tells which folders there are."""

    def folders(self, prefix: str, depth: int) -> Iterable[str]: ...
    def uri(self, key: str) -> str: ...


class SessionTables(Protocol):
    """The part of a catalog that tells readers which sessions are published, and which are not."""

    def published_since(self, sessions: Iterable[date]) -> Mapping[date, datetime]:
        """Return when each of these sessions that is published was first registered."""

    def unpublished_sessions(self) -> Collection[date]:
        """Return the sessions that are registered as unpublished."""

    def register_unpublished(self, locations: Mapping[date, str]) -> list[str]:
        """Show readers the raw files at these locations; return what failed, a text for each session."""

    def drop_unpublished(self, sessions: Iterable[date]) -> list[str]:
        """Show readers the raw files of these sessions no more; return what failed, a text for each session."""

    def widen_years(self, first: int, last: int) -> None:
        """Let readers of all raw files and of the quarantine see these years."""
