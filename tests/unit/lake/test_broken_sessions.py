"""A session's trouble is its own: garbage collection and rebuild do all others, and name it at the end."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import pytest
from botocore.exceptions import ClientError

from stock_pipeline.domain.lake_layout import partition_path
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
from stock_pipeline.lake.unpublished_sessions import UnpublishedSessions
from tests.fakes.stores import FakeObjectStore
from tests.support.broken_sessions import TROUBLES
from tests.support.lake import Lake
from tests.support.raw_files import put_raw_file

DAYS = [date(2018, 1, day) for day in (2, 3, 4)]
BROKEN, WELL = DAYS[1], [DAYS[0], DAYS[2]]


class RefusingStore(FakeObjectStore):
    """Refuses whatever concerns the folders of one session. denied: the folder's path below its zone."""

    def __init__(self, of: FakeObjectStore, denied: str) -> None:
        self.objects, self.modified, self.now, self.tags = of.objects, of.modified, of.now, of.tags
        self.denied = denied

    def _check(self, key: str) -> None:
        if self.denied in key:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "GetObject")

    def list(self, prefix: str) -> Iterator[ListedObject]:
        self._check(prefix)
        yield from super().list(prefix)

    def get(self, key: str) -> bytes:
        self._check(key)
        return super().get(key)

    def read(self, key: str) -> tuple[bytes, str] | None:
        self._check(key)
        return super().read(key)

    def delete(self, keys: Iterable[str]) -> None:
        every = list(keys)
        for key in every:
            self._check(key)
        super().delete(every)


@pytest.fixture
def lake(lake: Lake) -> Lake:
    """Three sessions, each compacted twice, and the first versions are old."""
    for number in (1, 2):
        for day in DAYS:
            put_raw_file(lake.store, day, number)
            lake.compactor.compact(day)
        lake.pass_time(timedelta(days=4))
    return lake


def break_it(lake: Lake, trouble: str) -> FakeObjectStore:
    """Break the session in the middle, and return the store to work on."""
    if trouble == "refused folder":
        return RefusingStore(lake.store, partition_path(BROKEN))
    TROUBLES[trouble](lake.store, BROKEN)
    return lake.store


every_trouble = pytest.mark.parametrize("trouble", [*TROUBLES, "refused folder"])


@every_trouble
def test_garbage_collection_goes_on_past_a_broken_session(lake: Lake, trouble: str) -> None:
    lake.store = break_it(lake, trouble)
    collected: list[date] = []
    with pytest.raises(StockPipelineError, match=r"^1 failed, .*: 2018-01-03: "):
        collected.extend(garbage.session_date for garbage in lake.garbage_collector().collect())
    assert collected == WELL


@every_trouble
def test_a_rebuild_goes_on_past_a_broken_session(lake: Lake, trouble: str) -> None:
    before = dict(lake.catalog.locations)
    lake.catalog.locations.clear()
    lake.lose_heads()
    store = break_it(lake, trouble)
    unpublished = UnpublishedSessions(store, lake.catalog, lambda: lake.now)
    if trouble == "lost manifest":
        # nothing tells that it was ever published
        CatalogRebuild(store, lake.catalog, lambda: lake.now, unpublished).run()
    else:
        with pytest.raises(StockPipelineError, match=r"^1 failed, .*: 2018-01-03: "):
            CatalogRebuild(store, lake.catalog, lambda: lake.now, unpublished).run()
    assert lake.catalog.locations == {day: before[day] for day in WELL}


def test_an_object_of_no_session_is_named_and_stops_no_other(lake: Lake) -> None:
    lake.store.put("curated/trades/year=2018/month=2/day=31/_head.json", b"{}")
    lake.store.put("curated/trades/notes.txt", b"")
    named = r"^2 failed, .*curated/trades/notes.txt/: .*month=2/day=31"
    collected: list[date] = []
    with pytest.raises(StockPipelineError, match=named):
        collected.extend(garbage.session_date for garbage in lake.garbage_collector().collect())
    assert collected == DAYS
    with pytest.raises(StockPipelineError, match=named):
        CatalogRebuild(lake.store, lake.catalog, lambda: lake.now, lake.unpublished).run()
