"""The lake's objects as files of a folder, for benchmarks.

Uploads and downloads are hard links, which cost nothing.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from stock_pipeline.domain.listed_object import ListedObject


class DirectoryLake:
    """Lake of one process, so conditional writes need no lock. A file's time of change is its etag."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self, prefix: str) -> Iterator[ListedObject]:
        root = f"{self._folder}{os.sep}"
        for entry in sorted(_files(self._path(prefix)), key=lambda entry: entry.path):
            status = entry.stat()
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            yield ListedObject(entry.path.removeprefix(root), status.st_size, str(status.st_mtime_ns), modified)

    def get(self, key: str) -> bytes:
        return self._path(key).read_bytes()

    def tail(self, key: str, size: int, etag: str | None = None) -> bytes:
        return self.get(key)[-size:]

    def read(self, key: str) -> tuple[bytes, str] | None:
        path = self._path(key)
        return (path.read_bytes(), str(path.stat().st_mtime_ns)) if path.exists() else None

    def put(self, key: str, body: bytes) -> None:
        self._path(key).parent.mkdir(parents=True, exist_ok=True)
        self._path(key).write_bytes(body)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if self._path(key).exists():
            return False
        self.put(key, body)
        return True

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        stored = self.read(key)
        if stored is None or stored[1] != etag:
            return False
        self.put(key, body)
        return True

    def upload_if_absent(self, key: str, path: Path) -> bool:
        if self._path(key).exists():
            return False
        self._path(key).parent.mkdir(parents=True, exist_ok=True)
        os.link(path, self._path(key))
        return True

    def download(self, key: str, path: Path, etag: str | None = None) -> None:
        os.link(self._path(key), path)

    def tag(self, keys: Iterable[str], name: str, value: str) -> None:
        """No lifecycle looks at this lake."""

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def _path(self, key: str) -> Path:
        return self._folder / key


class MemoryCatalog:
    """Partition locations of one process."""

    def __init__(self) -> None:
        self._locations: dict[date, str] = {}

    def published_location(self, session_date: date) -> str | None:
        return self._locations.get(session_date)

    def publish(self, session_date: date, location: str) -> None:
        self._locations[session_date] = location

    def register(self, locations: Mapping[date, str]) -> int:
        before = len(self._locations)
        self._locations = {**locations, **self._locations}
        return len(self._locations) - before


def _files(folder: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    """Yield the files below the folder, if it exists."""
    if Path(folder).is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from _files(entry.path)
                else:
                    yield entry
