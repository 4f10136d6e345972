"""The calendar against an independent one, and the days on which date arithmetic goes wrong."""

from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pytest

from stock_pipeline.domain.session import (
    is_trading_day,
    session_bounds_ns,
    session_date_of,
    session_hours,
    trading_days,
)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def test_session_hours_equal_an_independent_calendar() -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="2007-01-01", end="2027-10-29")
    expected = {
        day.date(): (int(opens.timestamp()) * 10**9, int(closes.timestamp()) * 10**9)
        for day, opens, closes in calendar.schedule[["open", "close"]].itertuples()
    }

    ours = {}
    for day in trading_days(date(2007, 1, 1), date(2027, 10, 29)):
        hours = session_hours(day)
        assert hours is not None
        ours[day] = (hours.open_ns, hours.close_ns)

    assert ours == expected


def test_trades_after_midnight_utc_stay_in_the_evenings_session() -> None:
    assert session_date_of(ns("2018-01-03T00:58:30+00:00")) == date(2018, 1, 2)
    assert session_date_of(ns("2018-01-03T05:00:00+00:00")) == date(2018, 1, 3)
    # one nanosecond before midnight in New York, which a float would round up
    assert session_date_of(ns("2018-01-03T05:00:00+00:00") - 1) == date(2018, 1, 2)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-11-02", 24)])
def test_a_session_date_is_as_long_as_new_york_makes_it(day: str, hours: int) -> None:
    start, end = session_bounds_ns(date.fromisoformat(day))
    assert end - start == hours * 3600 * 10**9
    assert session_date_of(start) == session_date_of(end - 1) == date.fromisoformat(day)


def test_a_closed_day_has_no_hours() -> None:
    assert session_hours(date(2026, 12, 25)) is None
    assert session_hours(date(2026, 11, 22)) is None


def test_years_before_the_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="begins in 2007"):
        is_trading_day(date(2006, 12, 29))


def test_session_date_agrees_with_bounds_around_midnights() -> None:
    day = date(2026, 1, 1)
    while day.year == 2026:
        start, end = session_bounds_ns(day)
        assert session_date_of(start) == session_date_of(end - 1) == day
        assert datetime.fromtimestamp(start // 10**9, UTC).hour in (4, 5)
        day += timedelta(days=1)
