"""Unpublished sessions come into the catalog and leave it, whatever fails beside them."""

from datetime import date, timedelta

import pytest

from stock_pipeline.domain.lake_layout import raw_key, raw_partition_prefix
from stock_pipeline.domain.unpublished_plan import READERS_GRACE
from stock_pipeline.errors import RetryableError
from stock_pipeline.lake.unpublished_sessions import Refreshed
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade

DAYS = [date(2018, 1, day) for day in (2, 3, 6, 10)]


def lake_of(days: list[date]) -> Lake:
    lake = Lake()
    for day in days:
        lake.store.put(raw_key(day, "shardId-000000000000", "1", "1", "0" * 16), b"not opened")
    return lake


def test_sessions_and_closed_days_are_registered_at_their_raw_folders_once() -> None:
    lake = lake_of(DAYS)
    assert lake.refresh() == Refreshed(registered=4, dropped=0)
    assert lake.catalog.unpublished == {day: f"s3://bucket/{raw_partition_prefix(day)}" for day in DAYS}
    assert lake.refresh() == Refreshed(registered=0, dropped=0)


def test_a_published_session_leaves_after_the_grace_and_late_files_do_not_bring_it_back() -> None:
    lake = Lake()
    lake.add([trade(1)], 1)
    lake.refresh()
    lake.compactor.compact(SESSION)
    lake.now += READERS_GRACE - timedelta(seconds=1)
    assert lake.refresh() == Refreshed(0, 0)
    lake.add([trade(2)], 2)
    lake.compactor.compact(SESSION)  # another version does not begin the grace anew
    lake.now += timedelta(seconds=1)
    assert lake.refresh() == Refreshed(registered=0, dropped=1)
    lake.add([trade(3)], 3)
    assert lake.refresh() == Refreshed(0, 0)


def test_a_session_that_fails_and_a_folder_of_no_session_are_named_and_stop_no_other() -> None:
    lake = lake_of(DAYS)
    lake.store.put("raw/trades/year=2018/month=2/day=31/x.parquet", b"")
    lake.catalog.broken.add(DAYS[1])
    with pytest.raises(RetryableError, match=r"day=31/ is no folder of a session.*2018-01-03") as error:
        lake.refresh()
    assert "2018-01-02" not in str(error.value)
    assert set(lake.catalog.unpublished) == {DAYS[0], DAYS[2], DAYS[3]}
    lake.store.delete(["raw/trades/year=2018/month=2/day=31/x.parquet"])
    lake.catalog.broken.clear()
    assert lake.refresh() == Refreshed(registered=1, dropped=0)


def test_a_year_outside_of_the_tables_years_becomes_visible() -> None:
    lake = lake_of([date(1999, 12, 31), date(2040, 1, 3)])
    lake.refresh()
    assert lake.catalog.years == [1999, 2040]
    lake.store.objects.clear()
    lake.refresh()
    assert lake.catalog.years == [1999, 2040]
