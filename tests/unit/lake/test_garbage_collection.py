"""What garbage collection deletes, when, and what it never touches."""

from dataclasses import replace
from datetime import timedelta

from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.lake.garbage_collection import GarbageCollector, SessionGarbage
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade

GRACE = timedelta(days=3)


def garbage_collector(lake: Lake) -> GarbageCollector:
    return GarbageCollector(lake.store, lake.catalog, now=lambda: lake.now, grace=GRACE)


def compacted_twice() -> Lake:
    lake = Lake()
    lake.add([trade(1)], 1)
    lake.compactor.compact(SESSION)
    lake.now += timedelta(hours=1)
    lake.add([trade(2)], 2)
    lake.compactor.compact(SESSION)
    return lake


def test_nothing_goes_before_the_grace_period_has_passed() -> None:
    lake = compacted_twice()
    objects = dict(lake.store.objects)
    lake.now += GRACE - timedelta(seconds=1)
    assert list(garbage_collector(lake).collect()) == []
    assert lake.store.objects == objects


def test_only_superseded_versions_and_compacted_raw_files_go() -> None:
    lake = compacted_twice()
    lake.now += GRACE
    (garbage,) = garbage_collector(lake).collect()
    assert (len(garbage.versions), garbage.raw_files, garbage.unreadable) == (1, 2, ())
    assert garbage.size > 0
    assert lake.read() == [trade(1), trade(2)]
    assert not [key for key in lake.store.objects if key.startswith(RAW_PREFIX)]
    assert list(garbage_collector(lake).collect()) == []
    lake.add([trade(3)], 3)
    lake.compactor.compact(SESSION)
    assert lake.read() == [trade(1), trade(2), trade(3)]


def test_with_raw_files_kept_only_superseded_versions_go() -> None:
    lake = compacted_twice()
    lake.now += GRACE
    raw = {key for key in lake.store.objects if key.startswith(RAW_PREFIX)}
    keeping = replace(garbage_collector(lake), keep_raw=True)
    (garbage,) = keeping.collect()
    assert (len(garbage.versions), garbage.raw_files) == (1, 0)
    assert {key for key in lake.store.objects if key.startswith(RAW_PREFIX)} == raw
    assert lake.read() == [trade(1), trade(2)]
    assert list(keeping.collect()) == []


def test_a_dry_run_says_what_would_go_and_deletes_nothing() -> None:
    lake = compacted_twice()
    lake.now += GRACE
    objects = dict(lake.store.objects)
    would: list[SessionGarbage] = list(garbage_collector(lake).collect(dry_run=True))
    assert lake.store.objects == objects
    assert list(garbage_collector(lake).collect()) == would


def test_raw_files_that_are_not_in_the_published_version_stay() -> None:
    lake = compacted_twice()
    lake.now += GRACE * 2
    late = lake.add([trade(3)], 3)
    list(garbage_collector(lake).collect())
    assert [key for key in lake.store.objects if key.startswith(RAW_PREFIX)] == [late]


def test_a_raw_file_that_comes_back_is_deleted_again() -> None:
    """The published version does not change."""
    lake = compacted_twice()
    lake.now += GRACE
    list(garbage_collector(lake).collect())
    lake.add([trade(1)], 1)
    report = lake.compactor.compact(SESSION)
    assert not report.published
    (garbage,) = garbage_collector(lake).collect()
    assert garbage.raw_files == 1
    assert lake.read() == [trade(1), trade(2)]


def test_without_head_and_catalog_nothing_is_deleted() -> None:
    lake = compacted_twice()
    lake.now += GRACE
    list(garbage_collector(lake).collect())
    lake.store.delete([key for key in lake.store.objects if key.endswith("_head.json")])
    lake.catalog.locations.clear()
    objects = dict(lake.store.objects)
    lake.now += GRACE
    assert list(garbage_collector(lake).collect()) == []
    assert lake.store.objects == objects
