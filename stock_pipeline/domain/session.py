"""The exchange's calendar: session dates, trading days and hours of US equities, New York time.

Rules are NYSE's published holidays and early closings (nyse.com, Holidays & Trading Hours), valid from 2007 on. A test
compares them with the package exchange_calendars for every day of 2007 to 2027.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NANOSECONDS = 10**9
FIRST_CALENDAR_YEAR = 2007

MONDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 3, 4, 5, 6

SPECIAL_CLOSINGS = frozenset(
    {
        date(2007, 1, 2),  # mourning, President Ford
        date(2012, 10, 29),  # hurricane Sandy
        date(2012, 10, 30),
        date(2018, 12, 5),  # mourning, President G. H. W. Bush
        date(2025, 1, 9),  # mourning, President Carter
    }
)


@lru_cache(maxsize=1)
def exchange_time_zone() -> ZoneInfo:
    return ZoneInfo("America/New_York")


def session_date_of(event_time_ns: int) -> date:
    """Return the New York date of an instant: trades after midnight UTC stay in their evening's session."""
    # whole seconds, because a float of nanoseconds would round across midnight
    return datetime.fromtimestamp(event_time_ns // NANOSECONDS, exchange_time_zone()).date()


def session_bounds_ns(session_date: date) -> tuple[int, int]:
    """Return the first instants of this date and of the next, in nanoseconds UTC: `start <= t < end`."""
    return _new_york_ns(session_date, time(0)), _new_york_ns(session_date + timedelta(days=1), time(0))


@dataclass(frozen=True, slots=True)
class SessionHours:
    """Regular trading hours of one session in nanoseconds UTC: `open_ns <= t < close_ns`.

    extended_end_ns: end of the extended hours: 20:00, on a half day 17:00.
    """

    session_date: date
    open_ns: int
    close_ns: int
    extended_end_ns: int
    is_half_day: bool


def session_hours(session_date: date) -> SessionHours | None:
    """Return regular hours, or None if the exchange is closed."""
    if not is_trading_day(session_date):
        return None
    half_day = is_half_day(session_date)
    close, end = (time(13, 0), time(17, 0)) if half_day else (time(16, 0), time(20, 0))
    return SessionHours(
        session_date,
        _new_york_ns(session_date, time(9, 30)),
        _new_york_ns(session_date, close),
        _new_york_ns(session_date, end),
        half_day,
    )


def extended_close_ns(session_date: date) -> int:
    """Return when the session's last trades are made: 20:00, on a half day 17:00."""
    return _new_york_ns(session_date, time(17, 0) if is_half_day(session_date) else time(20, 0))


def is_trading_day(day: date) -> bool:
    if day.year < FIRST_CALENDAR_YEAR:
        raise ValueError(f"the calendar begins in {FIRST_CALENDAR_YEAR}; {day} lies before it")
    return day.weekday() < SATURDAY and day not in SPECIAL_CLOSINGS and day not in holidays(day.year)


def is_session(day: date) -> bool:
    """Tell if a day of any year has a session; the calendar knows of none before it begins."""
    return day.year >= FIRST_CALENDAR_YEAR and is_trading_day(day)


def trading_days(first: date, last: date) -> Iterator[date]:
    """Yield every trading day from `first` to `last`, both included."""
    day = first
    while day <= last:
        if is_trading_day(day):
            yield day
        day += timedelta(days=1)


def is_half_day(day: date) -> bool:
    """Tell if trading ends at 13:00: day after Thanksgiving, Christmas Eve, eve of Independence Day."""
    if not is_trading_day(day):
        return False
    if day == _nth_weekday(day.year, 11, THURSDAY, 4) + timedelta(days=1):
        return True
    if (day.month, day.day) == (12, 24):
        return True
    if (day.month, day.day) == (7, 3):
        return True
    # Until 2012 a Thursday holiday made Friday the short day.
    return day.year < 2013 and (day.month, day.day) == (7, 5) and day.weekday() == FRIDAY


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Return one year's full-day closings, without special ones."""
    days = {
        _nth_weekday(year, 1, MONDAY, 3),  # Martin Luther King Jr. Day
        _nth_weekday(year, 2, MONDAY, 3),  # Washington's Birthday
        _easter_sunday(year) - timedelta(days=2),  # Good Friday
        _nth_weekday(year, 5, MONDAY, -1),  # Memorial Day
        _observed(date(year, 7, 4)),
        _nth_weekday(year, 9, MONDAY, 1),  # Labor Day
        _nth_weekday(year, 11, THURSDAY, 4),  # Thanksgiving
        _observed(date(year, 12, 25)),
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != SATURDAY:  # NYSE keeps 31 December open: the year's books close on it
        days.add(_observed(new_year))
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))  # Juneteenth
    return frozenset(days)


def _new_york_ns(day: date, at: time) -> int:
    moment = datetime.combine(day, at, exchange_time_zone()).astimezone(UTC)
    return int(moment.timestamp()) * NANOSECONDS


def _observed(day: date) -> date:
    if day.weekday() == SATURDAY:
        return day - timedelta(days=1)
    if day.weekday() == SUNDAY:
        return day + timedelta(days=1)
    return day


def _nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    """Return the n-th such weekday of a month; -1 is the last."""
    if n > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def _easter_sunday(year: int) -> date:
    """Return Gregorian Easter, by the anonymous (Meeus/Jones/Butcher) computus."""
    a = year % 19
    b, c = divmod(year, 100)
    d, e = divmod(b, 4)
    f = (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    l = (32 + 2 * e + 2 * i - h - k) % 7  # noqa: E741
    m = (a + 11 * h + 22 * l) // 451
    month, day = divmod(h + l - 7 * m + 114, 31)
    return date(year, month, day + 1)
