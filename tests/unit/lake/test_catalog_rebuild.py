"""The catalog comes back from the lake, with heads or from manifests alone."""

from datetime import date, timedelta

import pytest

from stock_pipeline.domain.lake_layout import HEAD_FILE, raw_key
from stock_pipeline.errors import HeadLostError
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild, Rebuilt
from stock_pipeline.lake.garbage_collection import GarbageCollector
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade


def rebuild(lake: Lake) -> Rebuilt:
    return CatalogRebuild(lake.compactor.publication, lake.unpublished).run()


def compacted_twice() -> Lake:
    lake = Lake()
    for number in (1, 2):
        lake.add([trade(number)], number)
        lake.compactor.compact(SESSION)
    return lake


def lose_heads(lake: Lake) -> None:
    lake.store.delete([key for key in lake.store.objects if key.endswith(HEAD_FILE)])


@pytest.mark.parametrize("heads_lost", [False, True])
@pytest.mark.parametrize("collected", [False, True])
def test_a_lost_catalog_comes_back_as_it_was(heads_lost: bool, collected: bool) -> None:
    lake = compacted_twice()
    if collected:
        lake.now += timedelta(days=4)
        list(GarbageCollector(lake.store, lake.catalog, now=lambda: lake.now).collect())
    before = dict(lake.catalog.locations)
    lake.catalog.locations.clear()
    if heads_lost:
        lose_heads(lake)
    assert rebuild(lake) == Rebuilt(sessions=1, registered=1, heads=int(heads_lost), unpublished=0)
    assert lake.catalog.locations == before
    assert lake.read() == [trade(1), trade(2)]
    assert rebuild(lake) == Rebuilt(sessions=1, registered=0, heads=0, unpublished=0)


def test_a_version_without_trades_found_nowhere_else_is_refused() -> None:
    lake = compacted_twice()
    newest = lake.catalog.locations[SESSION].removeprefix("s3://bucket/")
    lake.now += timedelta(days=4)
    list(GarbageCollector(lake.store, lake.catalog, now=lambda: lake.now).collect())
    lake.catalog.locations.clear()
    lose_heads(lake)
    lake.store.delete([newest + "trades.parquet"])
    with pytest.raises(HeadLostError, match="2018-01-02"):
        rebuild(lake)
    assert lake.catalog.locations == {}


def test_a_location_that_differs_from_the_head_is_put_right() -> None:
    lake = compacted_twice()
    right = dict(lake.catalog.locations)
    lake.catalog.locations[SESSION] = "s3://bucket/curated/trades/year=2018/month=1/day=2/v=0123456789abcdef/"
    rebuild(lake)
    assert lake.catalog.locations == right


def test_unpublished_sessions_come_back_too_even_beside_one_that_is_lost() -> None:
    lake = compacted_twice()
    lake.catalog.locations.clear()
    unpublished = date(2018, 1, 3)
    lake.store.put(raw_key(unpublished, "shardId-000000000000", "9", "9", "0" * 16), b"")
    assert rebuild(lake) == Rebuilt(sessions=1, registered=1, heads=0, unpublished=1)
    assert set(lake.catalog.unpublished) == {unpublished}

    lake.catalog.unpublished.clear()
    lose_heads(lake)
    lake.store.delete([key for key in lake.store.objects if "day=2/" in key and not key.endswith("_manifest.json")])
    with pytest.raises(HeadLostError, match="2018-01-02"):
        rebuild(lake)
    assert set(lake.catalog.unpublished) == {unpublished}
