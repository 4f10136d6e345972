"""A rebuilt table is what the stream made, whatever was lost, poisoned, killed or written at the same time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import UnreadableInputError
from stock_pipeline.restore.state_rebuild import remembered
from tests.support.oracle import without_ingest_time
from tests.support.raw_files import put_raw_file
from tests.support.rebuild_world import RebuildWorld, over_two_sessions
from tests.support.strategies import trades
from tests.support.trades import NOON, SESSION, trade

ABC = SymbolKey("ABC", "sim")


def rows_of_two_sessions(consistent: bool) -> st.SearchStrategy[list[Trade]]:
    some = trades(("ABC", "XYZ"), ids=24, consistent=consistent)
    return st.lists(some.map(lambda row: over_two_sessions(row, int(row.event_id.rpartition(":")[2]))), max_size=60)


def batches(rows: Sequence[Trade], size: int) -> list[Sequence[Trade]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def windows(states: Mapping[SymbolKey, SymbolState]) -> dict[SymbolKey, tuple[Trade, ...]]:
    return {key: state.window for key, state in states.items()}


@pytest.mark.slow
@given(
    st.booleans().flatmap(lambda consistent: st.tuples(st.just(consistent), rows_of_two_sessions(consistent))),
    st.integers(1, 20),
    st.sets(st.integers(0, 8)),
)
def test_a_lost_table_is_rebuilt_as_the_stream_made_it(
    source: tuple[bool, list[Trade]], size: int, compactions: set[int]
) -> None:
    """Of a source that gives an id two times, the lake forgets a row that bore on the last eligible price."""
    consistent, rows = source
    world = RebuildWorld()
    for number, batch in enumerate(batches(rows, size)):
        world.process(batch)
        if number in compactions:
            world.compact()
    assert windows(world.states()) == windows(world.expected())
    assert not consistent or world.states() == world.expected()
    world.table.held.clear()
    world.rebuild()
    assert windows(world.states()) == windows(world.expected())
    assert not consistent or world.states() == world.expected()
    writes = world.table.writes
    world.rebuild()
    assert world.table.writes == writes  # a second time changes nothing


@given(
    rows_of_two_sessions(consistent=True),
    st.integers(8, 20),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(0, 3),
)
def test_a_rebuild_beside_the_processor_loses_no_trade(
    rows: list[Trade], size: int, before: int, lost: bool, replaces: bool, killed_at: int | None
) -> None:
    world = RebuildWorld()
    parts = batches(rows, size)
    for batch in parts[:before]:
        world.process(batch)
    if lost:
        world.table.held.clear()
    world.waiting = parts[before:]
    world.table.before_write = world.process_one
    if killed_at is not None:
        world.rebuild_until_killed(killed_at, replaces)
    world.rebuild(replaces)
    world.rebuild()  # what is in the lake by now
    while world.waiting:
        world.process_one()
    assert world.states() == world.expected()


poisons = st.builds(
    lambda number, ahead, cents, version: without_ingest_time(
        trade(
            number,
            event_id=f"sim:ABC:{number}",
            event_time_ns=NOON + (number + ahead) * 10**9,
            price=Decimal(cents),
            version=version,
        )
    ),
    st.integers(0, 99),
    st.integers(0, 10**6),
    st.integers(1_000, 9_000),
    st.integers(0, 9),
)


@given(rows_of_two_sessions(consistent=True), st.integers(8, 20), st.integers(1, 4), st.lists(poisons, min_size=1))
def test_replacing_forgets_wrong_rows_and_keeps_what_arrives(
    rows: list[Trade], size: int, before: int, poison: list[Trade]
) -> None:
    world = RebuildWorld()
    parts = batches(rows, size)
    for batch in parts[:before]:
        world.process(batch)
    held = world.table.held.get(ABC)
    if held is None:
        return
    wrong = held.state.merged_with(poison, (2, 3))
    world.table.held[ABC] = StoredState(wrong, wrong.revision)
    world.waiting = parts[before:]
    world.table.before_write = world.process_one
    world.rebuild(replace=True)
    while world.waiting:
        world.process_one()
    assert world.states() == world.expected()


def test_a_merge_keeps_a_wrong_price_and_replacing_does_not() -> None:
    world = RebuildWorld()
    world.process([trade(1), trade(2)])
    right = world.states()
    wrong = SymbolState(ABC, tuple(replace(row, price=Decimal(99_999)) for row in right[ABC].window))
    world.table.held[ABC] = StoredState(wrong, "wrong")
    world.rebuild()
    assert world.states()[ABC] == wrong
    world.rebuild(replace=True)
    assert world.states() == right


def test_a_cancelled_trade_is_not_revived() -> None:
    world = RebuildWorld()
    world.process([trade(1), trade(2)])
    world.compact()
    # the table knows of the cancellation before the lake's readers do
    cancelled = world.states()[ABC].merged_with([trade(2, version=1, status="cancelled", ingest_time_ns=0)], (2, 3))
    world.table.held[ABC] = StoredState(cancelled, cancelled.revision)
    world.rebuild()
    assert world.states()[ABC] == cancelled


def test_what_would_change_is_shown_and_nothing_is_written() -> None:
    world = RebuildWorld()
    world.process([trade(1), trade(2), trade(3, symbol="XYZ")])
    lake = world.lake_states()
    list(lake.read(world.sessions()))
    states = remembered(lake.states.values(), None, 0)
    assert list(world.rebuilding().changes(states)) == []
    del world.table.held[ABC]
    (change,) = world.rebuilding().changes(states)
    assert str(change) == "ABC (sim): no item → 2 trades, 12.5 at 2018-01-02 17:00:02"
    assert ABC not in world.table.held


def test_only_the_chosen_symbols_are_rebuilt() -> None:
    world = RebuildWorld()
    world.process([trade(1), trade(2, symbol="XYZ")])
    world.table.held.clear()
    world.rebuild(symbols=["ABC"])
    assert list(world.states()) == [ABC]


def test_a_session_that_cannot_be_read_is_named_and_the_others_are_rebuilt() -> None:
    world = RebuildWorld()
    world.process([trade(1)])
    key = put_raw_file(world.lake.store, SESSION, 7)
    world.lake.store.put(key, b"no Parquet")
    world.table.held.clear()
    lake = world.lake_states()
    list(lake.read(world.sessions()))
    world.rebuilding().merge(list(lake.states.values()))
    assert world.states() == world.expected()
    with pytest.raises(UnreadableInputError, match=key):
        lake.failures.raise_all()


def test_a_damaged_version_is_named_and_raw_files_are_read() -> None:
    world = RebuildWorld()
    world.process([trade(1)])
    world.compact()
    world.lake.store.delete([name for name in world.lake.keys("curated/") if name.endswith(".parquet")])
    lake = world.lake_states()
    list(lake.read(world.sessions()))
    assert list(lake.states) == [ABC]
    assert "run `stock-pipeline compact --session 2018-01-02`" in str(lake.failures)


def test_states_that_would_expire_at_once_are_left_out() -> None:
    old, new = (SymbolState(SymbolKey(name, "sim"), (trade(n, symbol=name),)) for n, name in ((0, "A"), (9, "B")))
    assert remembered([new, old], 1, NOON + 86_400 * 10**9) == [new]
    assert remembered([new, old], None, NOON) == [old, new]
