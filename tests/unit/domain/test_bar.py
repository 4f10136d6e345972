"""The reference bar: against a published one, and rule by rule."""

import random
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from stock_pipeline.domain.bar import Bar, daily_bar
from stock_pipeline.domain.session import session_hours
from stock_pipeline.domain.trade import Trade
from tests.support.sample_session import SAMPLE_DATE, assert_is_the_published_bar, sample_trades
from tests.support.trades import trade

DAY = date(2018, 1, 2)
HALF_DAY = date(2018, 7, 3)


def at(clock: str, number: int = 0, day: date = DAY, **changes: Any) -> Trade:
    """Return a trade at a New York time of `day`."""
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo("America/New_York"))
    return trade(number, event_time_ns=int(moment.timestamp() * 1000) * 10**6, **changes)


def bar_of(*trades: Trade, day: date = DAY) -> Bar:
    bar = daily_bar(trades, session_hours(day))
    assert bar is not None
    return bar


def prices(bar: Bar) -> tuple[Decimal | None, ...]:
    return bar.open, bar.high, bar.low, bar.close


def test_the_recorded_session_gives_the_published_bar() -> None:
    assert_is_the_published_bar(daily_bar(sample_trades(), session_hours(SAMPLE_DATE)))


def test_the_order_of_the_trades_does_not_matter() -> None:
    shuffled = list(sample_trades())
    random.Random(7).shuffle(shuffled)
    hours = session_hours(SAMPLE_DATE)
    assert daily_bar(shuffled, hours) == daily_bar(sample_trades(), hours)


def test_one_trade_is_a_whole_bar() -> None:
    bar = bar_of(at("12:00", price=Decimal("10.5"), volume=3))
    assert bar == Bar("ABC", "sim", DAY, *[Decimal("10.5")] * 4, volume=3, vwap=Decimal("10.5"), trade_count=1)


def test_regular_hours_include_the_open_but_not_the_close() -> None:
    bar = bar_of(
        at("09:29:59.999", 1, price=Decimal(1)),
        at("09:30", 2, price=Decimal(20)),
        at("15:59:59.999", 3, price=Decimal(30)),
        at("16:00", 4, price=Decimal(99)),
    )
    assert prices(bar) == (20, 30, 20, 30)
    assert (bar.volume, bar.trade_count) == (400, 4)


def test_a_half_day_ends_at_one() -> None:
    bar = bar_of(
        at("12:59:59.999", 1, HALF_DAY, price=Decimal(20)), at("13:00", 2, HALF_DAY, price=Decimal(99)), day=HALF_DAY
    )
    assert prices(bar) == (20, 20, 20, 20)


def test_a_late_closing_print_is_the_close_and_may_be_the_high() -> None:
    bar = bar_of(
        at("15:59", 1, price=Decimal(20)),
        at("16:00:07", 2, price=Decimal(25), conditions="6"),
        at("16:00:08", 3, price=Decimal(30)),
    )
    assert prices(bar) == (20, 25, 20, 25)


def test_without_a_closing_print_the_last_eligible_print_closes() -> None:
    bar = bar_of(
        at("10:00", 1, price=Decimal(20)),
        at("11:00", 2, price=Decimal(21)),
        at("12:00", 3, price=Decimal(22), conditions="I"),
    )
    assert bar.close == 21


def test_trades_of_one_instant_go_by_sequence() -> None:
    bar = bar_of(at("12:00", 2, price=Decimal(22)), at("12:00", 1, price=Decimal(21)))
    assert (bar.open, bar.close) == (21, 22)


def test_odd_lots_alone_make_volume_and_no_price() -> None:
    bar = bar_of(at("12:00", 1, conditions="I", volume=5), at("12:01", 2, conditions="FI", volume=7))
    assert prices(bar) == (None, None, None, None)
    assert (bar.volume, bar.trade_count) == (12, 2)


def test_an_odd_lot_in_the_opening_auction_opens_the_session() -> None:
    bar = bar_of(at("09:30:01", 1, price=Decimal(20), conditions="OI"), at("10:00", 2, price=Decimal(30)))
    assert bar.open == 20


def test_prints_without_meaning_count_in_nothing() -> None:
    counted = at("12:00", 1)
    others = (
        at("12:01", 2, conditions="M"),
        at("12:02", 3, conditions="Q"),
        at("12:03", 4, status="cancelled", version=1),
        at("12:04", 5, status="notice"),
        at("12:05", 6, capture_mode="quote", volume=None),
    )
    assert bar_of(counted, *others) == bar_of(counted)
    assert daily_bar(others, session_hours(DAY)) is None


def test_a_corrected_trade_counts_as_corrected() -> None:
    assert bar_of(at("12:00", status="corrected", version=1, volume=40)).volume == 40


def test_the_largest_of_several_closing_auctions_closes() -> None:
    bar = bar_of(
        at("15:59", 1, price=Decimal(20)),
        at("16:00:00.5", 2, price=Decimal(21), conditions="6", volume=90_000, exchange="Q"),
        at("16:00:01", 3, price=Decimal(22), conditions="6", volume=300, exchange="P"),
    )
    assert prices(bar) == (20, 22, 20, 21)


def test_a_corrected_close_goes_before_the_closing_auction() -> None:
    bar = bar_of(
        at("16:00:01", 1, price=Decimal(20), conditions="6", volume=90_000),
        at("16:20", 2, price=Decimal(19), conditions="9", volume=90_000),
    )
    assert prices(bar) == (20, 20, 19, 19)
    assert (bar.volume, bar.trade_count) == (90_000, 1)


def test_a_cancelled_closing_auction_closes_nothing() -> None:
    bar = bar_of(
        at("15:59", 1, price=Decimal(20)),
        at("16:00:01", 2, price=Decimal(21), conditions="6", status="cancelled", version=1),
        at("16:00:01", 3, price=Decimal(22), conditions="M"),
    )
    assert prices(bar) == (20, 20, 20, 20)


def test_vwap_lies_between_low_and_high_of_eligible_prints() -> None:
    bar = bar_of(
        at("12:00", 1, price=Decimal(20), volume=100),
        at("12:01", 2, price=Decimal(90), volume=99, conditions="I"),
        at("17:00", 3, price=Decimal(1), volume=5_000, conditions="T"),
    )
    assert bar.vwap == 20
    assert bar.volume == 5_199


def test_vwap_is_money_by_shares_rounded_half_up() -> None:
    bar = bar_of(at("12:00", 1, price=Decimal("10"), volume=1), at("12:01", 2, price=Decimal("10.000001"), volume=1))
    assert bar.vwap == Decimal("10.000001")


def test_a_print_of_no_shares_counts_for_nothing() -> None:
    """Such prints are modelled values: the low of zero_share_print.csv is 1380, not 1321.25."""
    bar = bar_of(
        at("09:31", 1, price=Decimal(1380), volume=100),
        at("09:32", 2, price=Decimal("1321.25"), volume=0),
        at("09:33", 3, price=Decimal(1405), volume=100),
        at("16:00:01", 4, price=Decimal(1), volume=0, conditions="6"),
    )
    assert prices(bar) == (1380, 1405, 1380, 1405)
    assert (bar.volume, bar.trade_count) == (200, 2)
    assert daily_bar([at("12:00", volume=0)], session_hours(DAY)) is None


def test_parts_of_a_share_are_exact() -> None:
    bar = bar_of(
        at("09:31", 1, price=Decimal(10), volume=Decimal("0.25")),
        at("09:32", 2, price=Decimal(20), volume=Decimal("0.000001")),
        at("09:33", 3, price=Decimal(10), volume=Decimal("0.749999")),
    )
    assert bar.volume == 1
    assert isinstance(bar.volume, int)
    assert bar.vwap == Decimal("10.00001")


@pytest.mark.parametrize("code", list("ZP4G3L"))
def test_a_print_sold_late_makes_high_and_low_but_no_open_or_close(code: str) -> None:
    bar = bar_of(
        at("09:30", 1, price=Decimal(5), conditions=code),
        at("10:00", 2, price=Decimal(10)),
        at("11:00", 3, price=Decimal(11)),
        at("12:00", 4, price=Decimal(50), conditions=code),
    )
    assert prices(bar) == (10, 50, 5, 11)


def test_prints_sold_late_open_and_close_a_day_that_has_no_others() -> None:
    bar = bar_of(at("10:00", 1, price=Decimal(10), conditions="Z"), at("11:00", 2, price=Decimal(12), conditions="4"))
    assert prices(bar) == (10, 12, 10, 10)


def test_a_day_the_exchange_was_closed_has_volume_and_no_price() -> None:
    bar = bar_of(at("12:00", 1, date(2018, 7, 4), conditions="6"), day=date(2018, 7, 4))
    assert prices(bar) == (None, None, None, None)
    assert bar.volume == 100


def test_one_bar_never_mixes_feeds_symbols_or_sessions() -> None:
    first = at("12:00", 1)
    for other in (replace(first, feed="iex"), replace(first, symbol="XYZ"), at("12:00", 1, HALF_DAY)):
        with pytest.raises(ValueError, match="one symbol, feed and session date"):
            daily_bar((first, other), session_hours(DAY))
    with pytest.raises(ValueError, match="the hours of"):
        daily_bar((first,), session_hours(HALF_DAY))
