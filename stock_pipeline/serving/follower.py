"""Follows the newest session of the raw zone: finds new files, and folds each once.

It starts from the published version and the raw files which that lacks, so a restart finds the same bars. Objects are
listed from the newest known key of each shard on. Keys can also come earlier in the order, so now and then all are
listed. A file that is gone between listing and reading, because compaction published it, is found in the version: the
session is read anew. Another session is shown once it was read whole.
"""

import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
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
from stock_pipeline.errors import InputFileError, RetryableError, StockPipelineError
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, one_line
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
    def get_if_there(self, key: str) -> bytes | None: ...
    def download(self, key: str, path: Path, etag: str | None = None) -> None: ...


class Followed(NamedTuple):
    """What one look found.

    changed: symbols whose figures may have changed. is_new: the session is another one, or was read anew.
    """

    changed: set[SymbolKey]
    is_new: bool


class _Reading:
    """One session as far as it was read.

    folder: has a copy of each file, so that minutes are made anew without the lake.
    """

    def __init__(self, session_date: date) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stock-pipeline-serving-"))
        self.session = LiveSession(session_date, self.rows)
        self.unreadable: dict[str, str] = {}
        self.files = 0
        self.newest_file: datetime | None = None
        self.delays: deque[float] = deque(maxlen=_DELAYS_KEPT)
        self.changed: set[SymbolKey] = set()
        """Since a look told of them: one that fails after it folded tells nothing."""
        self.seen: set[str] = set()
        self.newest_keys: dict[str, str] = {}

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, name: str) -> pl.DataFrame:
        """Return the rows of a copy, or of one row group (`path#group`) of a published file."""
        path, is_group, group = name.rpartition("#")
        if not is_group:
            return read_rows(Path(name).read_bytes(), self.session.session_date)
        with pq.ParquetFile(path) as file:
            return pl.DataFrame(conformed(file.read_row_group(int(group), use_threads=False)))


class Follower:
    """partition: opens a session's place in the lake. now: the clock, UTC. only: this session instead of the newest.

    One thread looks. Others read `session` while they hold `lock`, which a look takes for folding only: whoever asks
    does not wait for the lake.
    """

    def __init__(
        self,
        lake: RawZone,
        partition: Callable[[date], SessionPartition],
        now: Callable[[], datetime],
        only: date | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._lake, self._partition, self._now, self._only = lake, partition, now, only
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="raw-files")
        self._shown: _Reading | None = None
        self._listed_at: datetime | None = None

    # another thread may put `_shown` away between two reads of it

    @property
    def session(self) -> LiveSession | None:
        return shown.session if (shown := self._shown) else None

    @property
    def unreadable(self) -> dict[str, str]:
        """Reasons of files that are no trades, by key."""
        return dict(shown.unreadable) if (shown := self._shown) else {}

    @property
    def files(self) -> int:
        return shown.files if (shown := self._shown) else 0

    @property
    def newest_file(self) -> datetime | None:
        return shown.newest_file if (shown := self._shown) else None

    @property
    def delays(self) -> Sequence[float]:
        """Seconds from a raw file's time to its place in the figures, of the newest files."""
        return tuple(shown.delays) if (shown := self._shown) else ()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._show(None)

    def look(self) -> Followed:
        """Fold what is new. Raises `LAKE_ERRORS`; the next look goes on where this one failed."""
        try:
            return self._look()
        except Exception:
            # what was listed and not folded is found by listing all
            self._listed_at = None
            raise

    def _look(self) -> Followed:
        is_due = self._listed_at is None or self._now() - self._listed_at >= self._listing_after()
        newest = (self._only or self._newest_session()) if is_due else None
        is_new = newest is not None and (self.session is None or newest != self.session.session_date)
        if is_new and newest is not None:
            self._show(self._started(newest))
        elif self._shown is not None:
            # up to a page, all files cost one call, and that finds the first one of a new shard at once
            self._read_on(self._shown, is_due or len(self._shown.seen) < LISTED_AT_ONCE)
        if self._shown is None:
            return Followed(set(), False)
        if is_due:
            self._listed_at = self._now()
        changed, self._shown.changed = self._shown.changed, set()
        return Followed(changed, is_new)

    def _listing_after(self) -> timedelta:
        return timedelta(seconds=max(LISTING_SECONDS, len(self._shown.seen if self._shown else ()) / FILES_A_SECOND))

    def _show(self, reading: _Reading | None) -> None:
        with self.lock:
            before, self._shown = self._shown, reading
        if before is not None:
            before.close()

    def _forget(self, reading: _Reading) -> None:
        """Have the session read anew by the next look."""
        if reading is self._shown:
            self._show(None)

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

    def _started(self, session_date: date) -> _Reading:
        """Read a session whole: its published version, and the raw files which that lacks."""
        with _on_disk():
            reading = _Reading(session_date)
        try:
            self._read_published(reading)
            self._read_on(reading, lists_all=True)
        except BaseException:
            reading.close()
            raise
        return reading

    def _read_published(self, reading: _Reading) -> None:
        published = self._partition(reading.session.session_date).published()
        if published is None or published.manifest is None:
            return
        for number, key in enumerate(published.manifest.data_keys):
            path = reading.folder / f"published-{number}.parquet"
            with _on_disk():
                self._lake.download(key, path)
            try:
                with pq.ParquetFile(path) as file:
                    groups = file.num_row_groups
                for group in range(groups):
                    name = f"{path}#{group}"
                    reading.changed |= reading.session.add([(name, reading.rows(name))])
            except BROKEN_FILE as error:
                raise RetryableError(f"{key} can't be read ({one_line(error)}): compact its session again") from error
        reading.seen.update(file.key for file in published.manifest.inputs)

    def _read_on(self, reading: _Reading, lists_all: bool) -> None:
        arrived = list(self._all_files(reading) if lists_all else self._new_files(reading))
        arrived.sort(key=lambda listed: (listed.modified, listed.key))
        for start in range(0, len(arrived), FILES_AT_ONCE):
            self._fold(reading, arrived[start : start + FILES_AT_ONCE])

    def _all_files(self, reading: _Reading) -> Iterator[ListedObject]:
        for listed in self._lake.list(raw_partition_prefix(reading.session.session_date)):
            shard = _shard_of(listed.key)
            reading.newest_keys[shard] = max(listed.key, reading.newest_keys.get(shard, ""))
            if listed.key not in reading.seen and listed.key.endswith(".parquet"):
                yield listed

    def _new_files(self, reading: _Reading) -> Iterator[ListedObject]:
        prefix = raw_partition_prefix(reading.session.session_date)
        for shard, newest in list(reading.newest_keys.items()):
            for listed in self._lake.list(f"{prefix}{shard}-", start_after=newest):
                if listed.key not in reading.seen and listed.key.endswith(".parquet"):
                    reading.newest_keys[shard] = max(listed.key, reading.newest_keys[shard])
                    yield listed

    def _fold(self, reading: _Reading, some: Sequence[ListedObject]) -> None:
        paths = [reading.folder / f"{reading.files + place}.parquet" for place in range(len(some))]
        asked = [self._pool.submit(self._rows_or_reason, reading, *each) for each in zip(some, paths, strict=True)]
        # all, also after one failed: a copy that comes late would take the place of one of the next look
        wait(asked)
        try:
            found = [each.result() for each in asked]
        except _GoneError:
            # published and collected meanwhile, so its rows are in the version
            self._forget(reading)
            raise
        read = [(str(path), rows) for path, rows in zip(paths, found, strict=True) if not isinstance(rows, str)]
        with self.lock:
            try:
                with _on_disk():
                    reading.changed |= reading.session.add(read)
            except BaseException:
                # half of it may be folded
                self._forget(reading)
                raise
            reading.unreadable |= {
                listed.key: rows for listed, rows in zip(some, found, strict=True) if isinstance(rows, str)
            }
            reading.seen.update(listed.key for listed in some)
            reading.files += len(some)
            now = self._now()
            reading.delays.extend((now - listed.modified).total_seconds() for listed in some)
            newest = max(listed.modified for listed in some)
            reading.newest_file = newest if reading.newest_file is None else max(reading.newest_file, newest)

    def _rows_or_reason(self, reading: _Reading, listed: ListedObject, path: Path) -> pl.DataFrame | str:
        """Copy a file and return its rows, or why it is none."""
        body = self._lake.get_if_there(listed.key)
        if body is None:
            raise _GoneError(f"{listed.key} was removed meanwhile: the session is read anew")
        with _on_disk():
            path.write_bytes(body)
        try:
            return read_rows(body, reading.session.session_date)
        except InputFileError as error:
            return str(error)


class _GoneError(RetryableError):
    """A file that was listed is no longer there."""


@contextmanager
def _on_disk() -> Iterator[None]:
    """A full disk is a failure of this look."""
    try:
        yield
    except OSError as error:
        raise RetryableError(f"{tempfile.gettempdir()} can't take copies of the session's files: {error}") from error


def _newest_first(folders: Iterable[str]) -> list[str]:
    def number(folder: str) -> int:
        digits = folder.rstrip("/").rpartition("=")[2]
        return int(digits) if digits.isdecimal() else 0

    return sorted(folders, key=number, reverse=True)


def _shard_of(key: str) -> str:
    """Return what keys of a shard begin with; for any other key, the key."""
    name = key.rpartition("/")[2].removesuffix(".parquet")
    return name.rsplit("-", 3)[0]
