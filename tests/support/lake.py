"""A lake in memory with its catalog: raw files in, compactions run, and what a reader of the catalog sees."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from stock_pipeline.domain.compaction_plan import Manifest
from stock_pipeline.domain.lake_layout import HEAD_FILE
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.garbage_collection import GarbageCollector
from stock_pipeline.lake.local_engine import LocalEngine
from stock_pipeline.lake.session_counts import data_files
from tests.fakes.stores import FakeCatalog, FakeObjectStore
from tests.support.raw_files import put_raw_file, raw_file_key, read_trades
from tests.support.trades import SESSION

EVENING = datetime(2018, 1, 2, 22, tzinfo=UTC)


def small_engine(session_date: date, folder: Path) -> LocalEngine:
    """Spills every four rows, reads back six and compares two ids at once, so that a handful of trades is a day too
    large for memory."""
    return LocalEngine(session_date, folder, run_rows=4, range_rows=6, contested_ids=2)


class Lake:
    def __init__(self) -> None:
        self.store, self.catalog = FakeObjectStore(), FakeCatalog()
        self.now = EVENING
        self.compactor = self.compactor_on(self.store, self.catalog)

    def compactor_on(
        self,
        store: FakeObjectStore,
        catalog: FakeCatalog,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> Compactor:
        return Compactor(store, catalog, now=lambda: self.now, progress=progress, engine=small_engine)

    def pass_time(self, time: timedelta) -> None:
        self.now += time
        self.store.now = self.now

    def add(self, rows: Sequence[Trade], number: int) -> str:
        return put_raw_file(self.store, SESSION, number, rows)

    def add_bytes(self, body: bytes, number: int) -> str:
        key = raw_file_key(SESSION, number)
        self.store.put(key, body)
        return key

    def manifest(self) -> Manifest:
        manifest = self.compactor.published_manifest(SESSION)
        assert manifest, "nothing is published"
        return manifest

    def published_prefix(self) -> str:
        return self.catalog.locations[SESSION].removeprefix("s3://bucket/")

    def read(self) -> list[Trade]:
        """What a reader of the catalog sees: the rows of every object that is not hidden, object after object."""
        keys = data_files(self.store, self.catalog.locations[SESSION])
        return [row for key in keys for row in read_trades(self.store.get(key))]

    def keys(self, prefix: str = "") -> list[str]:
        return [key for key in self.store.objects if key.startswith(prefix)]

    def lose_heads(self) -> None:
        self.store.delete([key for key in self.store.objects if key.endswith(HEAD_FILE)])

    def garbage_collector(self, **options: Any) -> GarbageCollector:
        return GarbageCollector(self.store, self.catalog, now=lambda: self.now, **options)
