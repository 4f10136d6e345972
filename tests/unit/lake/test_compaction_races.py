"""Two runs on one partition end in one right version, in any order of steps, and no reader sees another."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.garbage_collection import GarbageCollector
from tests.fakes.crashes import Crashed, CrashingCatalog, CrashingObjectStore, Fuse
from tests.fakes.turns import Turns, TurnTakingCatalog, TurnTakingObjectStore
from tests.support.lake import SESSION, Lake, Readers
from tests.support.oracle import winning_trades
from tests.support.trades import trade

FILES = [[trade(1), trade(2)], [trade(2), trade(0)], [trade(1, version=1, status="cancelled"), trade(3)]]

schedules = st.lists(st.integers(0, 1), max_size=30)


def contents(files: int) -> list[Trade]:
    return winning_trades(row for rows in FILES[:files] for row in rows)


def player(lake: Lake, turns: Turns, number: int) -> Compactor:
    return lake.compactor_on(
        TurnTakingObjectStore(lake.store, turns, number), TurnTakingCatalog(lake.catalog, turns, number)
    )


def published_version(lake: Lake) -> str:
    head = lake.partition.head().head
    assert head.catalog_confirmed_at
    return str(head.version)


@settings(max_examples=25)
@given(schedules, st.integers(0, 12))
def test_two_compactions_and_a_late_file_end_in_one_version(schedule: list[int], late_after: int) -> None:
    lake = Lake()
    lake.add(FILES[0], 0)
    lake.compactor.compact(SESSION)
    lake.add(FILES[1], 1)
    steps = 0

    def look() -> None:
        nonlocal steps
        steps += 1
        if steps == late_after:
            lake.add(FILES[2], 2)
        assert lake.read() in (contents(1), contents(2), contents(3))

    turns = Turns(2, schedule, look)
    turns.play(*(lambda each=each: player(lake, turns, each).compact(SESSION) for each in range(2)))  # type: ignore[misc]
    assert lake.read() in (contents(2), contents(3))
    assert lake.catalog.locations[SESSION].endswith(f"v={published_version(lake)}/")
    lake.add(FILES[2], 2)
    lake.compactor.compact(SESSION)
    assert lake.read() == contents(3)


@settings(max_examples=15)
@given(schedules)
def test_one_of_two_runs_publishes_a_partitions_first_version(schedule: list[int]) -> None:
    lake = Lake()
    lake.add(FILES[0], 0)
    turns = Turns(2, schedule)
    turns.play(*(lambda each=each: player(lake, turns, each).compact(SESSION) for each in range(2)))  # type: ignore[misc]
    assert lake.read() == contents(1)
    assert lake.catalog.locations[SESSION].endswith(f"v={published_version(lake)}/")


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 50))
def test_readers_of_both_tables_see_each_trade_once_while_runs_publish_and_ticks_register(
    schedule: list[int], minutes: int
) -> None:
    lake = Lake()
    lake.add(FILES[0], 0)
    lake.refresh()
    readers = Readers(lake, [contents(1)])
    turns = Turns(4, schedule, readers.look)
    ticks = [TurnTakingCatalog(lake.catalog, turns, number) for number in (2, 3)]

    def later(catalog: TurnTakingCatalog) -> None:
        catalog.published_since([SESSION])
        lake.now += timedelta(minutes=minutes)
        lake.refresh(catalog)

    turns.play(
        *(lambda each=each: player(lake, turns, each).compact(SESSION) for each in range(2)),  # type: ignore[misc]
        *(lambda tick=tick: later(tick) for tick in ticks),  # type: ignore[misc]
    )
    lake.now += timedelta(hours=1)
    lake.refresh()
    readers.look()
    assert lake.catalog.unpublished == {}
    assert lake.read() == contents(1)


@settings(max_examples=15)
@given(schedules)
def test_a_run_never_publishes_a_version_that_is_being_deleted(schedule: list[int]) -> None:
    """A run died after writing its version, long ago. Another plans the version while garbage collection deletes it."""
    lake = Lake()
    lake.add(FILES[0], 0)
    lake.compactor.compact(SESSION)
    lake.add(FILES[1], 1)
    fuse = Fuse(at=2, after=True)
    with pytest.raises(Crashed):
        lake.compactor_on(CrashingObjectStore(lake.store, fuse), CrashingCatalog(lake.catalog, fuse)).compact(SESSION)
    lake.pass_time(timedelta(days=30))

    def look() -> None:
        assert lake.read() in (contents(1), contents(2))

    turns = Turns(2, schedule, look)
    collector = GarbageCollector(
        TurnTakingObjectStore(lake.store, turns, 1), TurnTakingCatalog(lake.catalog, turns, 1), now=lambda: lake.now
    )
    turns.play(lambda: player(lake, turns, 0).compact(SESSION), lambda: list(collector.collect()))
    assert lake.read() == contents(2)
    assert lake.catalog.locations[SESSION].endswith(f"v={published_version(lake)}/")


def test_an_overtaken_run_that_dies_leaves_a_whole_version(lake: Lake) -> None:
    lake.add(FILES[0], 0)
    lake.compactor.compact(SESSION)
    old = lake.catalog.locations[SESSION]
    lake.add(FILES[1], 1)
    lake.compactor.compact(SESSION)
    lake.catalog.locations[SESSION] = old  # written late, by a run that died before it looked again
    assert lake.read() == contents(1)
    lake.pass_time(timedelta(days=30))
    assert list(lake.garbage_collector().collect()) == []
    report = lake.compactor.compact(SESSION)
    assert not report.published
    assert lake.read() == contents(2)
    # queries that began on the old version may be running: its time as superseded begins now
    lake.pass_time(timedelta(days=4))
    (garbage,) = lake.garbage_collector().collect()
    assert (len(garbage.versions), garbage.raw_files) == (1, 2)
