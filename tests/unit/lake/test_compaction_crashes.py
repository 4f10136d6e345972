"""The process dies at every side effect: readers see whole rows, a rerun finishes, nothing is left over."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta

import pytest

from stock_pipeline.domain.lake_layout import CURATED_PREFIX, RAW_PREFIX, UNREADABLE_PREFIX
from stock_pipeline.lake.garbage_collection import GarbageCollector
from stock_pipeline.lake.session_counts import data_files
from tests.fakes.crashes import Crashed, CrashingCatalog, CrashingObjectStore, Fuse, fuses
from tests.fakes.stores import FakeCatalog, FakeObjectStore
from tests.support.lake import SESSION, Lake, Readers
from tests.support.oracle import winning_trades
from tests.support.raw_files import raw_file_key, read_trades
from tests.support.trades import trade

GRACE = timedelta(days=3)

FIRST = [trade(1), trade(2), trade(3)]
LATE = [trade(2), trade(3, version=1, status="cancelled"), trade(0)]


def lake_with_late_and_broken_files() -> Lake:
    """Return a lake with an old published version, late trades, and an unreadable file."""
    lake = Lake()
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    lake.pass_time(GRACE * 2)
    lake.add(LATE, 2)
    lake.add_bytes(b"broken", 3)
    return lake


def compact(lake: Lake, store: FakeObjectStore, catalog: FakeCatalog) -> None:
    lake.compactor_on(store, catalog).compact(SESSION, allow_missing=True)


def collect(lake: Lake, store: FakeObjectStore, catalog: FakeCatalog) -> None:
    list(GarbageCollector(store, catalog, now=lambda: lake.now, grace=GRACE).collect())


def crashes(work: Callable[..., None], start: Callable[[], Lake]) -> Iterator[tuple[Lake, Fuse]]:
    """A lake for every side effect of the work, in which the process died before or after it."""
    for fuse in fuses(fewest=4):
        lake = start()
        try:
            work(lake, CrashingObjectStore(lake.store, fuse), CrashingCatalog(lake.catalog, fuse))
        except Crashed:
            yield lake, fuse


def assert_recovers(lake: Lake, where: str) -> None:
    """Assert that a rerun and garbage collection after the grace period leave the right rows and nothing else."""
    assert lake.read() in (winning_trades(FIRST), winning_trades(FIRST + LATE)), where
    compact(lake, lake.store, lake.catalog)
    assert lake.read() == winning_trades(FIRST + LATE), where
    for _ in range(2):
        lake.pass_time(GRACE + timedelta(seconds=1))
        collect(lake, lake.store, lake.catalog)
    names = [key.rpartition("/")[2] for key in lake.keys(CURATED_PREFIX)]
    assert sorted(names) == ["_head.json", "_manifest.json", "trades.parquet"], where
    assert lake.keys(RAW_PREFIX) == [], where
    assert [lake.store.objects[key] for key in lake.keys(UNREADABLE_PREFIX)] == [b"broken"]
    assert lake.read() == winning_trades(FIRST + LATE), where
    compact(lake, lake.store, lake.catalog)
    assert lake.read() == winning_trades(FIRST + LATE), where


def test_compaction_dies_at_every_side_effect() -> None:
    seen = set()
    for lake, fuse in crashes(compact, lake_with_late_and_broken_files):
        seen.add(fuse.happened.rpartition("/")[2])
        assert_recovers(lake, f"{fuse.happened}, after: {fuse.after}")
    # the last two are the catalog's location, and the unreadable file on its way to the quarantine
    assert seen == {"trades.parquet", "_manifest.json", "_head.json", "", raw_file_key(SESSION, 3).rpartition("/")[2]}


def test_garbage_collection_dies_at_every_side_effect() -> None:
    def start() -> Lake:
        lake = lake_with_late_and_broken_files()
        compact(lake, lake.store, lake.catalog)
        lake.pass_time(GRACE + timedelta(seconds=1))
        return lake

    seen = set()
    for lake, fuse in crashes(collect, start):
        seen.add(fuse.happened.split(" ")[0])
        assert lake.read() == winning_trades(FIRST + LATE), fuse.happened
        assert_recovers(lake, f"{fuse.happened}, after: {fuse.after}")
    assert seen == {"put", "delete"}


def test_garbage_collection_where_raw_files_expire_dies_at_every_side_effect() -> None:
    def start() -> Lake:
        lake = lake_with_late_and_broken_files()
        compact(lake, lake.store, lake.catalog)
        lake.pass_time(GRACE + timedelta(seconds=1))
        lake.add([trade(7)], 7)  # not compacted
        return lake

    def expire(lake: Lake, store: FakeObjectStore, catalog: FakeCatalog) -> None:
        list(GarbageCollector(store, catalog, now=lambda: lake.now, grace=GRACE, expire_raw=True).collect())

    seen = set()
    for lake, fuse in crashes(expire, start):
        where = f"{fuse.happened}, after: {fuse.after}"
        seen.add(fuse.happened.split(" ")[0])
        raw = lake.keys(RAW_PREFIX)
        assert raw_file_key(SESSION, 7) not in lake.store.tags, where
        expire(lake, lake.store, lake.catalog)
        assert lake.keys(RAW_PREFIX) == raw, where
        assert sorted(lake.store.tags) == sorted({*raw} - {raw_file_key(SESSION, 7)}), where
        assert lake.read() == winning_trades(FIRST + LATE), where
        lake.store.tags.clear()
        expire(lake, lake.store, lake.catalog)
        assert lake.store.tags == {}, where
    assert seen == {"put", "delete", "tag"}


@pytest.mark.parametrize("first", ["compaction", "collection"])
def test_a_run_that_died_before_any_version_leaves_nothing(first: str) -> None:
    def start() -> Lake:
        lake = Lake()
        lake.add(FIRST, 1)
        return lake

    for lake, fuse in crashes(compact, start):
        where = f"{fuse.happened}, after: {fuse.after}"
        if first == "collection":
            lake.pass_time(GRACE * 2)
            collect(lake, lake.store, lake.catalog)
        compact(lake, lake.store, lake.catalog)
        assert lake.read() == FIRST, where
        lake.pass_time(GRACE * 2)
        collect(lake, lake.store, lake.catalog)
        assert len(lake.keys(CURATED_PREFIX)) == 3, where


class LongQuery:
    """A reader that knows where to read and reads bit by bit, as a query does.

    It began before all that follows, and must find each object when it comes to it.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake, self.rows = lake, lake.read()
        self._keys = data_files(lake.store, lake.catalog.locations[SESSION])

    def goes_on(self) -> None:
        assert [row for key in self._keys for row in read_trades(self._lake.store.get(key))] == self.rows


class WatchedObjectStore(FakeObjectStore):
    """An object store that calls a reader after every write and deletion."""

    def __init__(self, lake: FakeObjectStore, look: Callable[[], None]) -> None:
        self.objects, self.modified, self.tags, self.now = lake.objects, lake.modified, lake.tags, lake.now
        self._look = look

    def put(self, key: str, body: bytes) -> None:
        super().put(key, body)
        self._look()

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            super().delete([key])
            self._look()


class WatchedCatalog(FakeCatalog):
    def __init__(self, catalog: FakeCatalog, look: Callable[[], None]) -> None:
        super().__init__(of=catalog)
        self._look = look

    def publish(self, session_date: date, location: str) -> None:
        super().publish(session_date, location)
        self._look()

    def register_unpublished(self, locations: Mapping[date, str]) -> list[str]:
        failed = super().register_unpublished(locations)
        self._look()
        return failed

    def drop_unpublished(self, sessions: Iterable[date]) -> list[str]:
        failed = super().drop_unpublished(sessions)
        self._look()
        return failed


def test_readers_old_and_new_always_see_whole_rows() -> None:
    """Queries begin at every step and last for two thirds of the grace period; files come late and become garbage."""
    lake = lake_with_late_and_broken_files()
    running: list[tuple[datetime, LongQuery]] = []
    known = [winning_trades(FIRST), winning_trades(FIRST + LATE)]

    def look() -> None:
        assert lake.read() in known
        for began, query in running:
            if lake.now - began <= GRACE * 2 / 3:
                query.goes_on()
        running.append((lake.now, LongQuery(lake)))

    watched = WatchedObjectStore(lake.store, look), WatchedCatalog(lake.catalog, look)
    everything = FIRST + LATE
    for number in range(4, 10):
        compact(lake, *watched)
        lake.pass_time(GRACE / 3)
        watched[0].now = lake.now
        collect(lake, *watched)
        everything = [*everything, trade(number)]
        lake.add([trade(number), trade(number - 2)], number)
        everything = [*everything, trade(number - 2)]
        known.append(winning_trades(everything))
    compact(lake, *watched)
    assert lake.read() == winning_trades(everything)
    assert len(running) > 30


TICK = timedelta(minutes=5)


def unpublished_lake() -> Lake:
    lake = Lake()
    lake.add(FIRST, 1)
    lake.refresh()
    return lake


@pytest.mark.slow
def test_readers_of_both_tables_see_each_trade_once_from_the_first_raw_file_to_collection() -> None:
    """The two tables are seen at moments up to half an hour apart, around every side effect of days."""
    lake = unpublished_lake()
    readers = Readers(lake, [winning_trades(FIRST)])
    store, catalog = WatchedObjectStore(lake.store, readers.look), WatchedCatalog(lake.catalog, readers.look)
    everything, registered = list(FIRST), []
    for tick in range(48):
        if tick % 12 == 3:
            compact(lake, store, catalog)
        if tick % 12 == 1:
            late = [trade(tick), trade(2)]
            everything += late
            readers.known.append(winning_trades(everything))
            lake.add(late, tick + 10)
        lake.refresh(catalog)
        readers.look()
        registered.append(SESSION in lake.catalog.unpublished)
        lake.pass_time(TICK)
    # published in the fourth tick, and in the way of no query that begins an hour later
    assert registered == [True] * 11 + [False] * 37
    for _ in range(7):
        lake.pass_time(timedelta(days=1))
        store.now = lake.now
        collect(lake, store, catalog)
        lake.refresh(catalog)
        readers.look()
    assert not [key for key in lake.store.objects if key.startswith(RAW_PREFIX)]
    assert lake.read() == winning_trades(everything)


@pytest.mark.slow
def test_readers_of_both_tables_see_each_trade_once_wherever_the_process_dies() -> None:
    def publish_and_forget(lake: Lake, store: FakeObjectStore, catalog: FakeCatalog) -> None:
        lake.refresh(catalog)
        compact(lake, store, catalog)
        for _ in range(9):
            lake.pass_time(TICK)
            store.now = lake.now
            lake.refresh(catalog)

    def start() -> Lake:
        lake = unpublished_lake()
        lakes[id(lake)] = Readers(lake, [winning_trades(FIRST)])
        lakes[id(lake)].look()
        return lake

    lakes: dict[int, Readers] = {}
    seen = set()
    for lake, fuse in crashes(publish_and_forget, start):
        seen.add(fuse.happened.split(" ")[0])
        readers = lakes[id(lake)]
        readers.look()
        for _ in range(15):
            compact(lake, lake.store, lake.catalog)
            readers.look()
            lake.pass_time(TICK)
            lake.refresh()
            readers.look()
        assert lake.catalog.unpublished == {}
    assert seen == {"put", "publish", "drop"}
