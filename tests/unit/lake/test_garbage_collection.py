"""What garbage collection deletes, when, and what it never touches."""

from datetime import timedelta

import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.lake.garbage_collection import SessionGarbage
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade

GRACE = timedelta(days=3)


@pytest.fixture
def lake(lake: Lake) -> Lake:
    """Compacted twice, with an hour between."""
    lake.add([trade(1)], 1)
    lake.compactor.compact(SESSION)
    lake.pass_time(timedelta(hours=1))
    lake.add([trade(2)], 2)
    lake.compactor.compact(SESSION)
    return lake


def collect(lake: Lake, **options: bool) -> list[SessionGarbage]:
    return list(lake.garbage_collector(grace=GRACE).collect(**options))


def test_nothing_goes_before_the_grace_period_has_passed(lake: Lake) -> None:
    objects = dict(lake.store.objects)
    lake.pass_time(GRACE - timedelta(seconds=1))
    assert collect(lake) == []
    assert lake.store.objects == objects


def test_only_superseded_versions_and_compacted_raw_files_go(lake: Lake) -> None:
    lake.pass_time(GRACE)
    (garbage,) = collect(lake)
    assert (len(garbage.versions), garbage.raw_files, garbage.unreadable) == (1, 2, ())
    assert garbage.size > 0
    assert lake.read() == [trade(1), trade(2)]
    assert lake.keys(RAW_PREFIX) == []
    assert collect(lake) == []
    lake.add([trade(3)], 3)
    lake.compactor.compact(SESSION)
    assert lake.read() == [trade(1), trade(2), trade(3)]


def test_with_raw_files_kept_only_superseded_versions_go(lake: Lake) -> None:
    lake.pass_time(GRACE)
    raw = lake.keys(RAW_PREFIX)
    keeping = lake.garbage_collector(grace=GRACE, keep_raw=True)
    (garbage,) = keeping.collect()
    assert (len(garbage.versions), garbage.raw_files) == (1, 0)
    assert lake.keys(RAW_PREFIX) == raw
    assert lake.read() == [trade(1), trade(2)]
    assert list(keeping.collect()) == []


def test_a_dry_run_says_what_would_go_and_deletes_nothing(lake: Lake) -> None:
    lake.pass_time(GRACE)
    objects = dict(lake.store.objects)
    would = collect(lake, dry_run=True)
    assert lake.store.objects == objects
    assert collect(lake) == would


def test_raw_files_that_are_not_in_the_published_version_stay(lake: Lake) -> None:
    lake.pass_time(GRACE * 2)
    late = lake.add([trade(3)], 3)
    collect(lake)
    assert lake.keys(RAW_PREFIX) == [late]


def test_a_raw_file_that_comes_back_is_deleted_again(lake: Lake) -> None:
    lake.pass_time(GRACE)
    collect(lake)
    lake.add([trade(1)], 1)
    report = lake.compactor.compact(SESSION)
    assert not report.published
    (garbage,) = collect(lake)
    assert garbage.raw_files == 1
    assert lake.read() == [trade(1), trade(2)]


def test_without_head_and_catalog_nothing_is_deleted(lake: Lake) -> None:
    lake.pass_time(GRACE)
    collect(lake)
    lake.lose_heads()
    lake.catalog.locations.clear()
    objects = dict(lake.store.objects)
    lake.pass_time(GRACE)
    assert collect(lake) == []
    assert lake.store.objects == objects
