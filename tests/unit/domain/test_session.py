"""The calendar against an independent one, and days on which date arithmetic goes wrong."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pytest

from stock_pipeline.domain.session import (
    HALF_DAY_CLOSE,
    UNPLANNED,
    UnplannedDay,
    exchange_time_zone,
    is_trading_day,
    session_bounds_ns,
    session_date_of,
    session_hours,
    trading_days,
    use_unplanned,
)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def test_session_hours_equal_an_independent_calendar() -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="1993-01-01", end="2027-10-29")
    expected = {
        day.date(): (int(opens.timestamp()) * 10**9, int(closes.timestamp()) * 10**9)
        for day, opens, closes in calendar.schedule[["open", "close"]].itertuples()
    }

    ours = {}
    for day in trading_days(date(1993, 1, 1), date(2027, 10, 29)):
        hours = session_hours(day)
        assert hours is not None
        ours[day] = (hours.open_ns, hours.close_ns)

    # hours that a day had to change while it ran, which that calendar leaves out
    odd = {day for day, hours in UNPLANNED.items() if hours and hours.close != HALF_DAY_CLOSE}
    assert ours.keys() == expected.keys()
    assert {day for day in ours if ours[day] != expected[day]} == odd


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("1996-01-08", "11:00", "14:00"),
        ("1997-10-27", "09:30", "15:30"),
        ("2002-09-11", "12:00", "16:00"),
        ("2005-06-01", "09:30", "15:56"),
    ],
)
def test_a_day_that_opened_late_or_closed_early_has_its_own_hours(day: str, opens: str, closes: str) -> None:
    hours = session_hours(date.fromisoformat(day))
    assert hours is not None
    new_york = exchange_time_zone()
    shown = [datetime.fromtimestamp(at // 10**9, new_york).strftime("%H:%M") for at in (hours.open_ns, hours.close_ns)]
    assert shown == [opens, closes]


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
    with pytest.raises(ValueError, match="begins in 1993"):
        is_trading_day(date(1992, 12, 30))


def test_session_date_agrees_with_bounds_around_midnights() -> None:
    day = date(2026, 1, 1)
    while day.year == 2026:
        start, end = session_bounds_ns(day)
        assert session_date_of(start) == session_date_of(end - 1) == day
        assert datetime.fromtimestamp(start // 10**9, UTC).hour in (4, 5)
        day += timedelta(days=1)


@pytest.fixture
def told() -> Iterator[None]:
    yield
    use_unplanned(())


@pytest.mark.usefixtures("told")
def test_a_day_that_nobody_planned_is_data() -> None:
    wednesday, thursday, friday = (date(2026, 3, day) for day in (4, 5, 6))
    use_unplanned([UnplannedDay.parse("2026-03-04=closed"), UnplannedDay.parse("2026-03-05=09:30-14:00")])
    assert list(trading_days(wednesday, friday)) == [thursday, friday]
    hours = session_hours(thursday)
    assert hours is not None
    assert hours.close_ns == ns("2026-03-05T14:00:00-05:00")
    assert not is_trading_day(date(2025, 1, 9)), "what the release knows stays known"
    use_unplanned(())
    assert is_trading_day(wednesday)


@pytest.mark.parametrize("text", ["2026-03-04=closed", "2026-03-05=09:30-13:00", "2026-03-05=11:00-14:00"])
def test_an_unplanned_day_is_written_as_it_is_read(text: str) -> None:
    assert str(UnplannedDay.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04",
        "2026-03-04=",
        "2026-03-04=shut",
        "2026-3-4=closed",
        "20260304=closed",
        "2026-02-30=closed",
        "2026-03-07=closed",
        "2026-12-25=09:30-13:00",
        "2026-03-05=14:00-09:30",
        "2026-03-05=09:30",
        "2026-03-05=9:30-14:00",
        "2026-03-05=09:30-25:00",
        "2026-03-05=09:30-14:00:30",
        "2026-03-05=03:00-14:00",
    ],
)
def test_what_is_no_unplanned_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        UnplannedDay.parse(text)
