"""What differs between a vendor's bars and ours is named, and what lies within the feed's tolerance is not."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from stock_pipeline.domain.bar import Bar
from stock_pipeline.domain.vendor_bars import (
    CONSOLIDATED,
    ONE_VENUE,
    BarDifference,
    VendorBar,
    bar_differences,
    tolerance,
)

OURS = Bar(
    "A",
    "sip",
    date(2024, 1, 3),
    Decimal(100),
    Decimal(103),
    Decimal(99),
    Decimal(101),
    1000,
    Decimal(100),
    trade_count=9,
)
THEIRS = VendorBar("A", Decimal(100), Decimal(103), Decimal(99), Decimal(101), Decimal(1000))


def test_equal_bars_do_not_differ() -> None:
    assert bar_differences({"A": OURS}, [THEIRS], ["A"], CONSOLIDATED) == []


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("allowed", [CONSOLIDATED, ONE_VENUE])
def test_a_value_beyond_the_tolerance_is_named(name: str, allowed: tuple[Decimal, Decimal]) -> None:
    share = allowed[1] if name == "volume" else allowed[0]
    value = getattr(THEIRS, name)
    within, beyond = (replace(THEIRS, **{name: value * (1 + share * part / 10)}) for part in (9, 11))
    assert bar_differences({"A": OURS}, [within], ["A"], allowed) == []  # type: ignore[arg-type]
    (found,) = bar_differences({"A": OURS}, [beyond], ["A"], allowed)  # type: ignore[arg-type]
    assert (found.symbol, found.what, found.ours) == ("A", name, value)


def test_a_bar_that_one_of_two_lacks_is_named() -> None:
    without_price = replace(OURS, symbol="C", open=None, high=None, low=None, close=None)
    found = bar_differences(
        {"A": OURS, "C": without_price, "E": without_price},
        [replace(THEIRS, symbol="B"), replace(THEIRS, symbol="E")],
        ["A", "B", "C", "D", "E"],
        CONSOLIDATED,
    )
    assert found[:2] == [BarDifference("A", "bar", Decimal(101), None), BarDifference("B", "bar", None, Decimal(101))]
    # no trade of C makes a price, and D has none; E has prices at the vendor's only
    assert {(each.symbol, each.what) for each in found[2:]} == {
        ("E", name) for name in ("open", "high", "low", "close")
    }


def test_the_consolidated_tape_is_compared_more_closely_than_one_venue() -> None:
    assert (tolerance("sip"), tolerance("iex"), tolerance("boats")) == (CONSOLIDATED, ONE_VENUE, ONE_VENUE)
