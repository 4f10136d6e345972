"""A lake in memory with its catalog: raw files in, compactions run, and what a reader of the catalog sees."""

import io
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from stock_pipeline.domain.lake_layout import raw_key
from stock_pipeline.domain.trade import Trade, precedence
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.local_engine import LocalEngine
from stock_pipeline.lake.session_counts import data_files
from stock_pipeline.lake.unpublished_sessions import Refreshed, UnpublishedSessions, raw_folders
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades, trade_schema, trades_of_table
from tests.fakes.stores import FakeCatalog, FakeObjectStore

SESSION = date(2018, 1, 2)
EVENING = datetime(2018, 1, 2, 22, tzinfo=UTC)


def winning_trades(rows: Iterable[Trade]) -> list[Trade]:
    """The oracle: one row per event id by the domain's rule, in the lake's order."""
    winning = {row.event_id: row for row in sorted(rows, key=precedence)}
    return sorted(winning.values(), key=lambda t: (t.symbol, t.event_time_ns, t.sequence, t.event_id))


def small_engine(session_date: date, folder: Path) -> LocalEngine:
    """Spills every four rows, reads back six and compares two ids at once, so that a handful of trades is a day too
    large for memory."""
    return LocalEngine(session_date, folder, run_rows=4, range_rows=6, contested_ids=2)


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
        return Compactor(store, catalog, now=lambda: self.now, progress=progress, engine=small_engine)

    def add(self, rows: Iterable[Trade], number: int) -> str:
        return self.add_bytes(parquet_bytes(table_of_trades(list(rows))), number)

    def add_bytes(self, body: bytes, number: int) -> str:
        key = raw_key(SESSION, "shardId-000000000000", str(number), str(number), "0" * 16)
        self.store.put(key, body)
        return key

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
        keys = data_files(self.store, location)
        tables = [pq.read_table(io.BytesIO(self.store.get(key))).cast(trade_schema()) for key in keys]
        return [row for table in tables for row in trades_of_table(table)]

    @property
    def unpublished(self) -> UnpublishedSessions:
        return self.unpublished_on(self.catalog)

    def unpublished_on(self, catalog: FakeCatalog) -> UnpublishedSessions:
        return UnpublishedSessions(self.store, catalog, now=lambda: self.now)

    def refresh(self, catalog: FakeCatalog | None = None) -> Refreshed:
        """A tick of what registers unpublished sessions."""
        return self.unpublished_on(catalog or self.catalog).refresh(raw_folders(self.store))


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
