"""The exchange's calendar: session dates, trading days and hours of US equities, New York time.

Rules are NYSE's published holidays and early closings (nyse.com, Holidays & Trading Hours), valid from 1993 on, where
TAQ begins. A test compares them with the package exchange_calendars for every day of 1993 to 2027. Unplanned closings
and odd hours are `UNPLANNED`; those after a release are data, `use_unplanned`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

NANOSECONDS = 10**9
FIRST_CALENDAR_YEAR = 1993

MONDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 2, 3, 4, 5, 6

OPEN, CLOSE, HALF_DAY_CLOSE = time(9, 30), time(16), time(13)


class Hours(NamedTuple):
    """Regular hours of a day in New York."""

    open: time
    close: time


CLOSED = None

UNPLANNED: dict[date, Hours | None] = {
    date(1994, 2, 11): Hours(OPEN, time(14, 30)),  # snow
    date(1994, 4, 27): CLOSED,  # mourning, President Nixon
    date(1995, 12, 18): Hours(time(10, 30), CLOSE),  # computers
    date(1996, 1, 8): Hours(time(11), time(14)),  # snow
    date(1997, 10, 27): Hours(OPEN, time(15, 30)),  # circuit breakers
    date(1997, 12, 26): Hours(OPEN, HALF_DAY_CLOSE),
    date(1999, 12, 31): Hours(OPEN, HALF_DAY_CLOSE),
    date(2001, 9, 11): CLOSED,  # the attacks
    date(2001, 9, 12): CLOSED,
    date(2001, 9, 13): CLOSED,
    date(2001, 9, 14): CLOSED,
    date(2002, 9, 11): Hours(time(12), CLOSE),  # their anniversary
    date(2003, 12, 26): Hours(OPEN, HALF_DAY_CLOSE),
    date(2004, 6, 11): CLOSED,  # mourning, President Reagan
    date(2005, 6, 1): Hours(OPEN, time(15, 56)),  # a communications line
    date(2007, 1, 2): CLOSED,  # mourning, President Ford
    date(2012, 10, 29): CLOSED,  # hurricane Sandy
    date(2012, 10, 30): CLOSED,
    date(2018, 12, 5): CLOSED,  # mourning, President G. H. W. Bush
    date(2025, 1, 9): CLOSED,  # mourning, President Carter
}
"""Days that no rule foresees, from pandas_market_calendars (`holidays/nyse.py`)."""

_told: dict[date, Hours | None] = {}


@dataclass(frozen=True, slots=True, order=True)
class UnplannedDay:
    """A day on which the exchange is closed, or has other hours than planned. hours: None is closed."""

    day: date
    hours: Hours | None

    @classmethod
    def parse(cls, text: str) -> "UnplannedDay":
        """Read `2026-03-04=closed` or `2026-03-05=09:30-14:00`, New York time; raises `ValueError`."""
        written, _, said = text.partition("=")
        day = date.fromisoformat(written)
        if not is_planned_trading_day(day):
            raise ValueError(f"{day} is a weekend or holiday, on which nothing was planned")
        if said == "closed":
            found = cls(day, CLOSED)
        else:
            opens, _, closes = said.partition("-")
            found = cls(day, Hours(time.fromisoformat(opens), time.fromisoformat(closes)))
        if str(found) != text or (found.hours and not time(4) <= found.hours.open < found.hours.close <= time(20)):
            raise ValueError(f"{text} is neither closed nor hours between 04:00 and 20:00")
        return found

    def __str__(self) -> str:
        said = f"{self.hours.open:%H:%M}-{self.hours.close:%H:%M}" if self.hours else "closed"
        return f"{self.day.isoformat()}={said}"


def use_unplanned(days: Iterable[UnplannedDay]) -> None:
    """Let the calendar of this process know these days, beside `UNPLANNED`, and no others.

    Composition roots call it with the settings' days, once: a session's rule is a function of its date everywhere, and
    two answers in one process would split a session.
    """
    _told.clear()
    _told.update({each.day: each.hours for each in days})


def unplanned() -> dict[date, Hours | None]:
    """Return all known days that no rule foresees."""
    return UNPLANNED | _told


@lru_cache(maxsize=1)
def exchange_time_zone() -> ZoneInfo:
    return ZoneInfo("America/New_York")


def session_date_of(event_time_ns: int) -> date:
    """Return the New York date of an instant: trades after midnight UTC stay in their evening's session."""
    # whole seconds, because a float of nanoseconds would round across midnight
    return datetime.fromtimestamp(event_time_ns // NANOSECONDS, exchange_time_zone()).date()


def session_bounds_ns(session_date: date) -> tuple[int, int]:
    """Return the first instants of this date and of the next, in nanoseconds UTC: `start <= t < end`."""
    return new_york_ns(session_date, time(0)), new_york_ns(session_date + timedelta(days=1), time(0))


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
    hours = _hours(session_date)
    return SessionHours(
        session_date,
        new_york_ns(session_date, hours.open),
        new_york_ns(session_date, hours.close),
        extended_close_ns(session_date),
        is_half_day(session_date),
    )


def extended_close_ns(session_date: date) -> int:
    """Return when the session's last trades are made: 20:00, on a half day 17:00."""
    return new_york_ns(session_date, time(17, 0) if is_half_day(session_date) else time(20, 0))


def is_trading_day(day: date) -> bool:
    if day.year < FIRST_CALENDAR_YEAR:
        raise ValueError(f"the calendar begins in {FIRST_CALENDAR_YEAR}; {day} lies before it")
    for known in (_told, UNPLANNED):
        if day in known:
            return known[day] is not CLOSED
    return is_planned_trading_day(day)


def is_planned_trading_day(day: date) -> bool:
    """Tell if a day is neither weekend nor holiday, whatever happened on it; of any year."""
    return day.weekday() < SATURDAY and day not in holidays(day.year)


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
    """Tell if trading ends at 13:00."""
    return is_trading_day(day) and _hours(day).close == HALF_DAY_CLOSE


def _hours(day: date) -> Hours:
    """Return a trading day's regular hours."""
    return _told.get(day) or UNPLANNED.get(day) or Hours(OPEN, HALF_DAY_CLOSE if _is_planned_half_day(day) else CLOSE)


def _is_planned_half_day(day: date) -> bool:
    """Tell if it is the day after Thanksgiving, Christmas Eve, or the eve of Independence Day."""
    if day == _nth_weekday(day.year, 11, THURSDAY, 4) + timedelta(days=1):
        return True
    if (day.month, day.day) == (12, 24):
        return True
    if (day.month, day.day) == (7, 3):
        return day.year >= 2013 or day.weekday() != WEDNESDAY
    # until 2012 a Thursday holiday made Friday the short day
    return day.year < 2013 and (day.month, day.day) == (7, 5) and day.weekday() == FRIDAY


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Return one year's full-day closings, without special ones."""
    days = {
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
    if year >= 1998:
        days.add(_nth_weekday(year, 1, MONDAY, 3))  # Martin Luther King Jr. Day
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))  # Juneteenth
    return frozenset(days)


def new_york_ns(day: date, at: time) -> int:
    """Return an instant of New York in nanoseconds UTC."""
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
