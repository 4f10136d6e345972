"""The catalog comes back from the lake, with heads or from manifests alone."""

from datetime import date, timedelta

import pytest

from stock_pipeline.domain.lake_layout import raw_key
from stock_pipeline.errors import HeadLostError
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild, Rebuilt
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade


def rebuild(lake: Lake) -> Rebuilt:
    return CatalogRebuild(lake.store, lake.catalog, lambda: lake.now, lake.unpublished).run()


@pytest.fixture
def lake(lake: Lake) -> Lake:
    """Compacted twice."""
    for number in (1, 2):
        lake.add([trade(number)], number)
        lake.compactor.compact(SESSION)
    return lake


@pytest.mark.parametrize("heads_lost", [False, True])
@pytest.mark.parametrize("collected", [False, True])
def test_a_lost_catalog_comes_back_as_it_was(lake: Lake, heads_lost: bool, collected: bool) -> None:
    if collected:
        lake.pass_time(timedelta(days=4))
        list(lake.garbage_collector().collect())
    before = dict(lake.catalog.locations)
    lake.catalog.locations.clear()
    if heads_lost:
        lake.lose_heads()
    assert rebuild(lake) == Rebuilt(sessions=1, registered=1, heads=int(heads_lost), unpublished=0)
    assert lake.catalog.locations == before
    assert lake.read() == [trade(1), trade(2)]
    assert rebuild(lake) == Rebuilt(sessions=1, registered=0, heads=0, unpublished=0)


def test_a_version_without_trades_found_nowhere_else_is_refused(lake: Lake) -> None:
    newest = lake.published_prefix()
    lake.pass_time(timedelta(days=4))
    list(lake.garbage_collector().collect())
    lake.catalog.locations.clear()
    lake.lose_heads()
    lake.store.delete([newest + "trades.parquet"])
    with pytest.raises(HeadLostError, match="2018-01-02"):
        rebuild(lake)
    assert lake.catalog.locations == {}


def test_a_location_that_differs_from_the_head_is_put_right(lake: Lake) -> None:
    right = dict(lake.catalog.locations)
    lake.catalog.locations[SESSION] = "s3://bucket/curated/trades/year=2018/month=1/day=2/v=0123456789abcdef/"
    rebuild(lake)
    assert lake.catalog.locations == right


def test_unpublished_sessions_come_back_beside_a_lost_one(lake: Lake) -> None:
    lake.catalog.locations.clear()
    unpublished = date(2018, 1, 3)
    lake.store.put(raw_key(unpublished, "shardId-000000000000", "9", "9", "0" * 16), b"")
    assert rebuild(lake) == Rebuilt(sessions=1, registered=1, heads=0, unpublished=1)
    assert set(lake.catalog.unpublished) == {unpublished}

    lake.catalog.unpublished.clear()
    lake.lose_heads()
    lake.store.delete([key for key in lake.store.objects if "day=2/" in key and not key.endswith("_manifest.json")])
    with pytest.raises(HeadLostError, match="2018-01-02"):
        rebuild(lake)
    assert set(lake.catalog.unpublished) == {unpublished}
