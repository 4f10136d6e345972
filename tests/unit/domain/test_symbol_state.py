"""The laws of the realtime state: it depends on the set of trades, and on nothing else."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.moving_average import (
    CANCELLATION_RESERVE,
    MovingAverage,
    merge,
    moving_averages,
    window_capacity,
)
from stock_pipeline.domain.symbol_state import ELIGIBLE_CAPACITY, SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.streaming.newest_trades import newest_rows
from stock_pipeline.trade_table import table_of_trades
from tests.support.oracle import winning_trades
from tests.support.strategies import trades
from tests.support.trades import NOON, trade

KEY = SymbolKey("ABC", "sim")
rows = st.lists(trades(), max_size=30)


@given(rows, rows, rows, st.integers(1, 6))
def test_merging_is_associative(a: list[Trade], b: list[Trade], c: list[Trade], n: int) -> None:
    assert merge(merge(a, b, n), c, n) == merge(a, merge(b, c, n), n)


@given(rows, rows, st.integers(1, 6))
def test_merging_is_commutative(a: list[Trade], b: list[Trade], n: int) -> None:
    assert merge(merge((), a, n), merge((), b, n), n) == merge(merge((), b, n), merge((), a, n), n)


@given(rows, st.integers(1, 6))
def test_merging_is_idempotent(a: list[Trade], n: int) -> None:
    once = merge((), a, n)
    assert merge(once, a, n) == once


@given(rows, st.data(), st.integers(1, 6))
def test_any_order_and_batching_gives_the_newest_trades(history: list[Trade], data: st.DataObject, n: int) -> None:
    arrivals = data.draw(st.permutations(history + history[: len(history) // 3]))
    window: tuple[Trade, ...] = ()
    while arrivals:
        size = data.draw(st.integers(1, len(arrivals)))
        window = merge(window, arrivals[:size], n)
        arrivals = arrivals[size:]
    assert window == tuple(winning_trades(history)[-n:])


many_rows = st.lists(trades(ids=40), max_size=80)
"""More trades than a window of one trade and the reserve holds."""


@given(many_rows, st.data())
def test_any_order_and_batching_gives_one_state(history: list[Trade], data: st.DataObject) -> None:
    history = [replace(row, ingest_time_ns=0) for row in history]
    arrivals = data.draw(st.permutations(history + history[: len(history) // 3]))
    state = SymbolState(KEY, ())
    while arrivals:
        size = data.draw(st.integers(1, len(arrivals)))
        newest = newest_rows(table_of_trades(arrivals[:size]), np.zeros(size, np.int64), window_capacity((1,)))
        for _, trades_of_key in newest.trades():
            state = state.merged_with(trades_of_key, (1,))
        arrivals = arrivals[size:]
    assert state == SymbolState(KEY, ()).merged_with(history, (1,))


@given(st.lists(trades(ids=40, consistent=True), max_size=80))
def test_the_last_eligible_price_is_the_tapes_however_old(history: list[Trade]) -> None:
    state = SymbolState(KEY, ()).merged_with(history, (1,))
    rows = winning_trades(history)
    bearing = [row for row in rows if row.version or (row.volume and row.conditions in ("", "Z"))]
    eligible = [row for row in rows if row.status in ("good", "corrected") and row.volume and row.conditions == ""]
    if eligible and eligible[-1] in bearing[-ELIGIBLE_CAPACITY:]:
        assert state.last_eligible is not None
        assert state.last_eligible.event_id == eligible[-1].event_id


def test_odd_lots_do_not_crowd_out_the_last_eligible_price() -> None:
    state = SymbolState(KEY, ()).merged_with([trade(n) for n in range(3)], (5,))
    for number in range(3, 100):
        state = state.merged_with([trade(number, conditions="I", volume=1)], (5,))
    assert state.latest is not None
    assert state.latest.event_id == trade(99).event_id
    assert state.last_eligible is not None
    assert state.last_eligible.event_id == trade(2).event_id
    cancelled = state.merged_with([trade(2, status="cancelled", version=1)], (5,))
    assert cancelled.last_eligible is not None
    assert cancelled.last_eligible.event_id == trade(1).event_id
    assert cancelled.revision != state.revision


def test_an_official_print_pays_nothing() -> None:
    """The auction of latest_is_no_execution.csv stays the latest trade, and counts once."""
    prints = [
        trade(1, price=Decimal("304.10")),
        trade(2, price=Decimal("304.20"), volume=5_000_000, conditions="@6"),
        trade(3, price=Decimal("304.20"), volume=5_000_000, conditions="@M"),
        trade(4, price=Decimal(1), volume=0),
    ]
    state = SymbolState(KEY, ()).merged_with(prints, (5,))
    assert state.latest is not None
    assert state.latest.event_id == trade(2).event_id
    assert state.averages((5,)) == [MovingAverage(5, Decimal("304.15"), 2)]


def test_an_average_ends_where_the_session_began() -> None:
    """A split takes effect between two sessions, and prices of both have no common unit."""
    next_day = NOON + 24 * 3_600 * 10**9
    rows = [trade(1, price=Decimal(2000)), trade(2, price=Decimal(400), event_time_ns=next_day)]
    state = SymbolState(KEY, ()).merged_with(rows, (5,))
    assert state.averages((5,)) == [MovingAverage(5, Decimal(400), 1)]


def test_a_cancelled_latest_trade_gives_way_to_the_one_before_it() -> None:
    state = SymbolState(KEY, ()).merged_with([trade(1), trade(2), trade(2, status="cancelled", version=1)], (5,))
    assert state.latest is not None
    assert state.latest.event_id == trade(1).event_id


def test_a_cancellation_that_comes_first_still_cancels() -> None:
    state = SymbolState(KEY, ()).merged_with([trade(2, status="cancelled", version=1)], (5,))
    assert state.latest is None
    assert state.averages((5,)) == []
    assert state.merged_with([trade(2)], (5,)) == state


def test_cancellations_up_to_the_reserve_shorten_no_average() -> None:
    count = window_capacity((20,))
    history = [trade(n) for n in range(count)]
    cancelled = [trade(n, status="cancelled", version=1) for n in range(count - CANCELLATION_RESERVE, count)]
    state = SymbolState(KEY, ()).merged_with(history + cancelled, (20,))
    (average,) = state.averages((20,))
    assert average.trade_count == 20
    assert average.price == sum(t.price for t in history[:20]) / 20


def test_averages_are_exact_decimals_rounded_half_to_even() -> None:
    window = [trade(n, price=Decimal(price)) for n, price in enumerate(["0.000001", "0.000002"])]
    (average,) = moving_averages(window, (2,))
    assert average.price == Decimal("0.000002")
    assert str(moving_averages(window[:1], (2,))[0].price) == "0.000001"


@pytest.mark.parametrize("price", ["10.5", "10.50", "10.500000"])
def test_equal_prices_make_one_revision(price: str) -> None:
    plain = SymbolState(KEY, ()).merged_with([trade(1, price=Decimal("10.5"))], (5,))
    assert SymbolState(KEY, ()).merged_with([trade(1, price=Decimal(price))], (5,)).revision == plain.revision
