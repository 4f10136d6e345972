"""Prices of one file in two units are told; splits, crashes, wrong prints and cheap shares are not."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.price_scale import MixedScale, PriceLevel, level_of, mixed_scale


def judge(*rows: tuple[int, float], symbol: str = "ABC") -> MixedScale | None:
    """Judge rows of (day, price)."""
    levels: dict[PriceLevel, int] = {}
    for day, price in rows:
        level = PriceLevel(symbol, day, level_of(price))
        levels[level] = levels.get(level, 0) + 1
    return mixed_scale(levels)


def day(number: int, prices: Iterable[float]) -> list[tuple[int, float]]:
    return [(number, price) for price in prices]


@pytest.mark.parametrize("factor", [100, 1_000, 10_000, 1_000_000, 1_000_000_000])
def test_one_row_in_a_hundred_in_another_unit_is_told(factor: int) -> None:
    assert judge(*day(1, [157.04] * 99), (1, 157.11 * factor)) == MixedScale("ABC", factor)
    assert judge(*day(1, [157.04] * 99), (1, 157.11 / factor)) == MixedScale("ABC", factor)


def test_a_later_day_in_another_unit_is_told() -> None:
    assert judge(*day(1, [157.04] * 99), *day(2, [1_540_000] * 99)) == MixedScale("ABC", 10_000)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        day(1, [157.04]),
        [*day(1, [157.04] * 199), (1, 15_704.0)],  # a wrong print
        [*day(1, [0.02]), *day(2, [2.0]), *day(3, [2.1])],  # a reverse split of 1 to 100
        [*day(1, [0.02]), *day(2, [20.0])],  # of 1 to 1,000
        [*day(1, [2_400.0]), *day(2, [120.0])],  # a split of 20 to 1
        day(1, [16.0, 0.9242, 15.9]),  # a late report far from the market
        day(1, [10.0, 1.0, 4.0, 0.5, 30.0]),  # a wild day
        day(1, [0.0001, 0.0002, 0.0001, 0.0003]),  # cheap shares
        [*day(1, [400_000.0] * 9), (1, 399_000.0)],
    ],
)
def test_what_markets_do_is_not(rows: list[tuple[int, float]]) -> None:
    assert judge(*rows) is None


def test_symbols_of_different_prices_are_not() -> None:
    levels = {PriceLevel("BRK.A", 1, level_of(700_000)): 5, PriceLevel("PENNY", 1, level_of(0.007)): 5}
    assert mixed_scale(levels) is None


@given(st.lists(st.floats(0.1, 7.9), min_size=1, max_size=30), st.floats(0.0001, 100_000))
def test_prices_within_a_factor_of_seventy_nine_are_one_unit(prices: list[float], scale: float) -> None:
    assert judge(*day(1, [price * scale for price in prices])) is None
