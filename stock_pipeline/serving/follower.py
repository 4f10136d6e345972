"""Follows the newest session of the raw zone: finds new files, and folds each once.

It starts from the published version and the raw files which that lacks, so a restart finds the same bars. Objects are
listed from the newest known key of each shard on. Keys can also come earlier in the order, so now and then all are
listed. A file that is gone, because compaction published it, is found in the version: the session is read anew.
"""

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError

from stock_pipeline.domain.lake_layout import RAW_PREFIX, raw_partition_prefix, session_date_of_key
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import InputFileError, StockPipelineError
from stock_pipeline.lake.raw_file_gate import conformed
from stock_pipeline.lake.session_partition import SessionPartition
from stock_pipeline.serving.live_session import LiveSession
from stock_pipeline.serving.trade_rows import read_rows

LISTING_SECONDS = 10.0
FILES_A_SECOND = 500
"""Files that all have to be listed for again, at most, for each second: two calls of S3."""

LISTED_AT_ONCE = 1_000
"""Keys of a page, https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""

FILES_AT_ONCE = 64
_READERS = 16
_DELAYS_KEPT = 2_000

LAKE_ERRORS = (StockPipelineError, ClientError, BotoCoreError)
"""What reading the lake may raise; the next look tries again."""


class RawZone(Protocol):
    def list(self, prefix: str, start_after: str = "") -> Iterable[ListedObject]: ...
    def folders(self, prefix: str, depth: int) -> Iterable[str]: ...
    def get(self, key: str) -> bytes: ...
    def download(self, key: str, path: Path, etag: str | None = None) -> None: ...


class Followed(NamedTuple):
    """What one look found.

    changed: symbols whose figures may have changed. is_new: the session is another one, or was read anew.
    """

    changed: set[SymbolKey]
    is_new: bool


class Follower:
    """partition: opens a session's place in the lake. now: the clock, UTC. only: this session instead of the newest."""

    def __init__(
        self,
        lake: RawZone,
        partition: Callable[[date], SessionPartition],
        now: Callable[[], datetime],
        only: date | None = None,
    ) -> None:
        self._lake, self._partition, self._now, self._only = lake, partition, now, only
        self._folder: Path | None = None
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="raw-files")
        self._forget()

    def _forget(self) -> None:
        self.session: LiveSession | None = None
        self.unreadable: dict[str, str] = {}
        self.files = 0
        self.newest_file: datetime | None = None
        self.delays: deque[float] = deque(maxlen=_DELAYS_KEPT)
        """Seconds from a raw file's time to its place in the figures, of the newest files."""
        self._seen: set[str] = set()
        self._newest_keys: dict[str, str] = {}
        self._listed_at: datetime | None = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._forget()

    def look(self) -> Followed:
        """Fold what is new. Raises `LAKE_ERRORS`; the session is then read anew by the next look."""
        try:
            return self._look()
        except Exception:
            # half of a batch may be folded
            self._forget()
            raise

    def _look(self) -> Followed:
        is_due = self._listed_at is None or self._now() - self._listed_at >= self._listing_after()
        newest = (self._only or self._newest_session()) if is_due else None
        is_new = newest is not None and (self.session is None or newest != self.session.session_date)
        changed: set[SymbolKey] = set()
        if is_new and newest is not None:
            self._forget()
            changed |= self._start(newest)
        if self.session is None:
            return Followed(set(), False)
        # up to a page, all files cost one call, and that finds the first one of a new shard at once
        lists_all = is_due or is_new or len(self._seen) < LISTED_AT_ONCE
        arrived = list(self._all_files() if lists_all else self._new_files())
        if is_due or is_new:
            self._listed_at = self._now()
        arrived.sort(key=lambda listed: (listed.modified, listed.key))
        for start in range(0, len(arrived), FILES_AT_ONCE):
            changed |= self._fold(arrived[start : start + FILES_AT_ONCE])
        return Followed(changed, is_new)

    def _listing_after(self) -> timedelta:
        return timedelta(seconds=max(LISTING_SECONDS, len(self._seen) / FILES_A_SECOND))

    def _newest_session(self) -> date | None:
        """Return the newest session with raw files, but for those of a source whose clock is ahead."""
        today = session_date_of(int(self._now().timestamp()) * 10**9)
        for years in _newest_first(self._lake.folders(RAW_PREFIX, depth=1)):
            for months in _newest_first(self._lake.folders(years, depth=1)):
                for days in _newest_first(self._lake.folders(months, depth=1)):
                    with suppress(ValueError):
                        if (session_date := session_date_of_key(days)) <= today:
                            return session_date
        return None

    def _start(self, session_date: date) -> set[SymbolKey]:
        """Begin a session with its published version."""
        self._folder = Path(tempfile.mkdtemp(prefix="stock-pipeline-serving-"))
        self.session = LiveSession(session_date, self._rows)
        published = self._partition(session_date).published()
        if published is None or published.manifest is None:
            return set()
        changed: set[SymbolKey] = set()
        for number, key in enumerate(published.manifest.data_keys):
            path = self._folder / f"{number}.parquet"
            self._lake.download(key, path)
            with pq.ParquetFile(path) as file:
                groups = file.num_row_groups
            for group in range(groups):
                name = f"{path}#{group}"
                changed |= self.session.add([(name, self._rows(name))])
        self._seen.update(file.key for file in published.manifest.inputs)
        return changed

    def _all_files(self) -> Iterator[ListedObject]:
        assert self.session is not None
        for listed in self._lake.list(raw_partition_prefix(self.session.session_date)):
            shard = _shard_of(listed.key)
            self._newest_keys[shard] = max(listed.key, self._newest_keys.get(shard, ""))
            if listed.key not in self._seen and listed.key.endswith(".parquet"):
                yield listed

    def _new_files(self) -> Iterator[ListedObject]:
        assert self.session is not None
        prefix = raw_partition_prefix(self.session.session_date)
        for shard, newest in list(self._newest_keys.items()):
            for listed in self._lake.list(f"{prefix}{shard}-", start_after=newest):
                if listed.key not in self._seen and listed.key.endswith(".parquet"):
                    self._newest_keys[shard] = max(listed.key, self._newest_keys[shard])
                    yield listed

    def _fold(self, some: Sequence[ListedObject]) -> set[SymbolKey]:
        assert self.session is not None
        read = []
        for listed, rows in zip(some, self._pool.map(self._rows_or_reason, some), strict=True):
            if isinstance(rows, str):
                self.unreadable[listed.key] = rows
            else:
                read.append((listed.key, rows))
        changed = self.session.add(read)
        self._seen.update(listed.key for listed in some)
        self.files += len(some)
        now = self._now()
        self.delays.extend((now - listed.modified).total_seconds() for listed in some)
        newest = max(listed.modified for listed in some)
        self.newest_file = newest if self.newest_file is None else max(self.newest_file, newest)
        return changed

    def _rows_or_reason(self, listed: ListedObject) -> pl.DataFrame | str:
        try:
            return self._rows(listed.key)
        except InputFileError as error:
            return str(error)

    def _rows(self, name: str) -> pl.DataFrame:
        """Return a raw file's rows, or those of a row group of a downloaded data file."""
        assert self.session is not None
        path, is_group, group = name.rpartition("#")
        if not is_group:
            return read_rows(self._lake.get(name), self.session.session_date)
        with pq.ParquetFile(path) as file:
            return pl.DataFrame(conformed(file.read_row_group(int(group), use_threads=False)))


def _newest_first(folders: Iterable[str]) -> list[str]:
    def number(folder: str) -> int:
        digits = folder.rstrip("/").rpartition("=")[2]
        return int(digits) if digits.isdecimal() else 0

    return sorted(folders, key=number, reverse=True)


def _shard_of(key: str) -> str:
    """Return what keys of a shard begin with; for any other key, the key."""
    name = key.rpartition("/")[2].removesuffix(".parquet")
    return name.rsplit("-", 3)[0]
