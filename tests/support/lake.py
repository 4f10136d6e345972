"""A lake in memory with its catalog: raw files in, compactions run, and what a reader of the catalog sees."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from stock_pipeline.domain.compaction_plan import Manifest
from stock_pipeline.domain.lake_layout import HEAD_FILE, partition_path
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.garbage_collection import GarbageCollector
from stock_pipeline.lake.row_sort import RowSort
from stock_pipeline.lake.session_counts import data_files
from stock_pipeline.lake.session_partition import SessionPartition
from stock_pipeline.lake.unpublished_sessions import Refreshed, UnpublishedSessions, raw_folders
from tests.fakes.stores import FakeCatalog, FakeObjectStore
from tests.support.oracle import winning_trades
from tests.support.raw_files import put_raw_file, raw_file_key, read_trades
from tests.support.trades import SESSION

EVENING = datetime(2018, 1, 2, 22, tzinfo=UTC)


def small_sort(session_date: date, folder: Path) -> RowSort:
    """Spills every four rows, reads back six and compares two ids at once, so that a handful of trades is a day too
    large for memory."""
    return RowSort(session_date, folder, run_rows=4, range_rows=6, contested_ids=2)


LONGEST_QUERY = timedelta(minutes=30)
"""Athena's."""


class Tables(NamedTuple):
    """Where the catalog sends readers of the session: one location a table, or none."""

    trades: str | None
    unpublished_trades: str | None


class Lake:
    def __init__(self) -> None:
        self.now = EVENING
        self.store, self.catalog = FakeObjectStore(), FakeCatalog(now=lambda: self.now)
        self.compactor = self.compactor_on(self.store, self.catalog)

    def compactor_on(
        self,
        store: FakeObjectStore,
        catalog: FakeCatalog,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> Compactor:
        return Compactor(store, catalog, now=lambda: self.now, progress=progress, row_sort=small_sort)

    def pass_time(self, time: timedelta) -> None:
        self.now += time
        self.store.now = self.now

    def add(self, rows: Sequence[Trade], number: int) -> str:
        return put_raw_file(self.store, SESSION, number, rows)

    def add_bytes(self, body: bytes, number: int) -> str:
        key = raw_file_key(SESSION, number)
        self.store.put(key, body)
        return key

    other_date = date(2018, 1, 3)

    def other_session(self) -> str:
        """Publish another session, and return the end of its folders."""
        put_raw_file(self.store, self.other_date, 1)
        self.compactor.compact(self.other_date)
        return partition_path(self.other_date)

    def manifest(self) -> Manifest:
        published = self.partition.published()
        assert published, "nothing is published"
        assert published.manifest, published.damage
        return published.manifest

    @property
    def partition(self) -> SessionPartition:
        return self.compactor.partition(SESSION)

    def published_prefix(self) -> str:
        return self.catalog.locations[SESSION].removeprefix("s3://bucket/")

    def read(self) -> list[Trade]:
        """What a reader of the catalog sees: the rows of every object that is not hidden, object after object."""
        return self._rows(self.catalog.locations[SESSION])

    def tables(self) -> Tables:
        return Tables(self.catalog.locations.get(SESSION), self.catalog.unpublished.get(SESSION))

    def shown(self, trades: str | None, unpublished_trades: str | None) -> list[Trade]:
        """What the public view shows of the session to a query that was sent to these locations."""
        if trades is not None:
            return self._rows(trades)
        return winning_trades(self._rows(unpublished_trades)) if unpublished_trades else []

    def _rows(self, location: str) -> list[Trade]:
        return [row for key in data_files(self.store, location) for row in read_trades(self.store.get(key))]

    @property
    def unpublished(self) -> UnpublishedSessions:
        return self.unpublished_on(self.catalog)

    def unpublished_on(self, catalog: FakeCatalog) -> UnpublishedSessions:
        return UnpublishedSessions(self.store, catalog, now=lambda: self.now)

    def refresh(self, catalog: FakeCatalog | None = None) -> Refreshed:
        """A tick of what registers unpublished sessions."""
        return self.unpublished_on(catalog or self.catalog).refresh(raw_folders(self.store))

    def keys(self, prefix: str = "") -> list[str]:
        return [key for key in self.store.objects if key.startswith(prefix)]

    def lose_heads(self) -> None:
        self.store.delete([key for key in self.store.objects if key.endswith(HEAD_FILE)])

    def garbage_collector(self, **options: Any) -> GarbageCollector:
        return GarbageCollector(self.store, self.catalog, now=lambda: self.now, **options)


class Readers:
    """Queries of the public view, which look at its two tables at different moments of half an hour.

    known: what the view may show: all trades of some moment, each once.
    """

    def __init__(self, lake: Lake, known: list[list[Trade]]) -> None:
        self._lake, self.known = lake, known
        self._seen: list[tuple[datetime, Tables]] = []

    def look(self) -> None:
        """One query more looks at both tables, and those of before at the other one."""
        now = self._lake.tables()
        self._seen.append((self._lake.now, now))
        for at, then in self._seen:
            if self._lake.now - at <= LONGEST_QUERY:
                assert self._lake.shown(then.trades, now.unpublished_trades) in self.known, (then, now)
                assert self._lake.shown(now.trades, then.unpublished_trades) in self.known, (now, then)
