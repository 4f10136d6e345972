"""The laws of the realtime state: it depends on the set of trades, and on nothing else."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.moving_average import CANCELLATION_RESERVE, merge, moving_averages, window_capacity
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from tests.support.oracle import winning_trades
from tests.support.strategies import trades
from tests.support.trades import trade

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
