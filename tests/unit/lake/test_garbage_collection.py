"""What garbage collection deletes, when, and what it never touches."""

from datetime import timedelta

import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX, UNREADABLE_PREFIX, expiring_key, unreadable_key
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


def expire(lake: Lake, **options: bool) -> list[SessionGarbage]:
    return list(lake.garbage_collector(grace=GRACE, expire_raw=True).collect(**options))


def expiring(lake: Lake) -> list[str]:
    """The raw files that the bucket's lifecycle deletes."""
    return [key for key in lake.keys(RAW_PREFIX) if lake.store.tags.get(key) == {"compacted": "true"}]


def test_where_raw_files_expire_the_compacted_ones_are_tagged_and_stay(lake: Lake) -> None:
    raw = lake.keys(RAW_PREFIX)
    lake.pass_time(GRACE - timedelta(seconds=1))
    assert expire(lake) == []
    assert expiring(lake) == []
    lake.pass_time(timedelta(seconds=1))
    late = lake.add([trade(3)], 3)
    (garbage,) = expire(lake)
    assert (len(garbage.versions), garbage.raw_files) == (1, 2)
    assert expiring(lake) == raw
    assert lake.keys(RAW_PREFIX) == [*raw, late]
    assert lake.read() == [trade(1), trade(2)]


def test_a_dry_run_says_what_would_expire_and_tags_nothing(lake: Lake) -> None:
    lake.pass_time(GRACE)
    objects = dict(lake.store.objects)
    would = expire(lake, dry_run=True)
    assert (lake.store.objects, lake.store.tags) == (objects, {})
    assert expire(lake) == would


def test_no_raw_file_is_tagged_twice(lake: Lake) -> None:
    lake.pass_time(GRACE)
    expire(lake)
    first = expiring(lake)
    lake.store.tags.clear()
    assert expire(lake) == []
    late = lake.add([trade(3)], 3)
    lake.compactor.compact(SESSION)
    lake.pass_time(GRACE)
    (garbage,) = expire(lake)
    assert (garbage.raw_files, expiring(lake)) == (1, [late])
    assert late not in first


def test_a_raw_file_that_comes_back_after_it_expired_expires_again(lake: Lake) -> None:
    lake.pass_time(GRACE)
    expire(lake)
    lake.store.delete(expiring(lake))
    assert expire(lake) == []
    back = lake.add([trade(1)], 1)
    (garbage,) = expire(lake)
    assert (garbage.raw_files, expiring(lake)) == (1, [back])


def test_a_torn_list_of_what_expires_only_tags_again(lake: Lake) -> None:
    lake.pass_time(GRACE)
    expire(lake)
    lake.store.put(expiring_key(SESSION), b"{")
    (garbage,) = expire(lake)
    assert garbage.raw_files == 2


@pytest.mark.parametrize("expire_raw", [False, True])
def test_unreadable_files_that_a_dead_compaction_left_are_moved_also_where_raw_files_expire(
    lake: Lake, expire_raw: bool
) -> None:
    bad = lake.add_bytes(b"broken", 3)
    lake.add([trade(3)], 4)
    lake.compactor.compact(SESSION, allow_missing=True)
    lake.store.put(bad, lake.store.get(unreadable_key(bad)))
    lake.pass_time(GRACE)
    (garbage,) = lake.garbage_collector(grace=GRACE, expire_raw=expire_raw).collect()
    assert garbage.unreadable == (bad,)
    assert bad not in lake.store.objects
    assert lake.store.get(unreadable_key(bad)) == b"broken"


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


def test_a_file_repaired_meanwhile_is_not_moved_away(lake: Lake) -> None:
    bad = lake.add_bytes(b"broken", 3)
    (listed,) = [file for file in lake.partition.raw_files() if file.key == bad]
    lake.add([trade(3)], 3)
    assert lake.partition.set_aside([listed]) == ()
    assert lake.keys(UNREADABLE_PREFIX) == []
    assert bad in lake.store.objects
