"""Which session a trade belongs to, by the rule of its feed.

A feed's name says its rule, so that every part of the pipeline agrees, and a trade's session never changes:

- `us_equities`, all other feeds: the calendar date of New York.
- `overnight`, feeds `boats`, `overnight` and `overnight_…`: from 20:00 New York on a trade belongs to the next trading
  day, as do those of weekends and holidays. So Blue Ocean dates its sessions (help pages, "Trading sessions"), and so
  do 24X and Nasdaq's night session (SR-NASDAQ-2025-109). Closings that nobody planned move no trade.
- `continuous`, feeds `crypto` and `crypto_…`: the date of UTC, weekends included.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from stock_pipeline.domain.session import (
    NANOSECONDS,
    SessionHours,
    exchange_time_zone,
    extended_close_ns,
    is_planned_trading_day,
    is_session,
    new_york_ns,
    session_bounds_ns,
    session_date_of,
    session_hours,
)

NIGHT_BEGINS = time(20)
NIGHT_ENDS = time(4)

OVERNIGHT, PRE, REGULAR, POST = SESSION_PARTS = ("overnight", "pre", "regular", "post")

OVERNIGHT_FEEDS = r"^(boats|overnight(_[a-z0-9_]+)?)$"
CONTINUOUS_FEEDS = r"^crypto(_[a-z0-9_]+)?$"
"""Regular expressions that Python, polars and Athena read alike."""

_DAY = timedelta(days=1)
LONGEST_BREAK = 8
"""Days, more than ever lay between two sessions: six, in September 2001."""


class SessionRule(StrEnum):
    US_EQUITIES = "us_equities"
    OVERNIGHT = "overnight"
    CONTINUOUS = "continuous"


def session_rule(feed: str) -> SessionRule:
    if re.match(OVERNIGHT_FEEDS, feed):
        return SessionRule.OVERNIGHT
    if re.match(CONTINUOUS_FEEDS, feed):
        return SessionRule.CONTINUOUS
    return SessionRule.US_EQUITIES


def feed_session_date(event_time_ns: int, feed: str) -> date:
    """Return the session date of a trade."""
    return rule_session_date(event_time_ns, session_rule(feed))


def rule_session_date(event_time_ns: int, rule: SessionRule) -> date:
    if rule is SessionRule.US_EQUITIES:
        return session_date_of(event_time_ns)
    if rule is SessionRule.CONTINUOUS:
        return datetime.fromtimestamp(event_time_ns // NANOSECONDS, UTC).date()
    moment = datetime.fromtimestamp(event_time_ns // NANOSECONDS, exchange_time_zone())
    return _trading_day_from(moment.date() + (_DAY if moment.time() >= NIGHT_BEGINS else timedelta(0)))


def rule_session_bounds_ns(session_date: date, rule: SessionRule) -> tuple[int, int]:
    """Return the bounds of a session's trades, `start <= t < end`; equal if there is no such session."""
    if rule is SessionRule.US_EQUITIES:
        return session_bounds_ns(session_date)
    if rule is SessionRule.CONTINUOUS:
        start = datetime.combine(session_date, time(0), UTC)
        return tuple(int(at.timestamp()) * NANOSECONDS for at in (start, start + _DAY))  # type: ignore[return-value]
    end = new_york_ns(session_date, NIGHT_BEGINS)
    if not is_planned_trading_day(session_date):
        return end, end
    before = next(day for n in range(1, LONGEST_BREAK) if is_planned_trading_day(day := session_date - n * _DAY))
    return new_york_ns(before, NIGHT_BEGINS), end


def partition_start_ns(session_date: date) -> int:
    """Return the first instant that a trade of any feed in the session's partition may have."""
    return min(rule_session_bounds_ns(session_date, rule)[0] for rule in SessionRule)


def partition_end_ns(session_date: date) -> int:
    return max(rule_session_bounds_ns(session_date, rule)[1] for rule in SessionRule)


def feed_session_hours(session_date: date, feed: str) -> SessionHours | None:
    """Return the hours in which the feed's prints make the daily bar's prices, or None if it has no session then.

    On the exchange's feeds these are its regular hours. Others have their whole session.
    """
    rule = session_rule(feed)
    if rule is SessionRule.US_EQUITIES:
        return session_hours(session_date)
    start_ns, end_ns = rule_session_bounds_ns(session_date, rule)
    return SessionHours(session_date, start_ns, end_ns, end_ns, is_half_day=False) if start_ns < end_ns else None


def is_feed_session(day: date, feed: str) -> bool:
    """Tell if the feed has a session on a day."""
    return session_rule(feed) is SessionRule.CONTINUOUS or is_session(day)


def feed_sessions(first: date, last: date, feed: str) -> Iterator[date]:
    """Yield the feed's session dates from `first` to `last`, both included."""
    for day in range((last - first).days + 1):
        if is_feed_session(first + timedelta(days=day), feed):
            yield first + timedelta(days=day)


def feed_end_ns(session_date: date, feed: str) -> int:
    """Return when the last trades of a session are made."""
    rule = session_rule(feed)
    if rule is SessionRule.US_EQUITIES:
        return extended_close_ns(session_date)
    return rule_session_bounds_ns(session_date, rule)[1]


def open_hours(now_ns: int, feed: str = "") -> SessionHours | None:
    """Return the hours of the feed's session that is open at an instant (nanoseconds since 1970 UTC), or None.

    An overnight feed is open in the night before its session date.
    """
    rule = session_rule(feed)
    day = rule_session_date(now_ns, rule)
    if rule is SessionRule.OVERNIGHT:
        opens, closes = new_york_ns(day - _DAY, NIGHT_BEGINS), new_york_ns(day, NIGHT_ENDS)
        hours: SessionHours | None = SessionHours(day, opens, closes, closes, is_half_day=False)
    else:
        hours = feed_session_hours(day, feed) if is_feed_session(day, feed) else None
    return hours if hours is not None and hours.open_ns <= now_ns < hours.close_ns else None


def session_part(event_time_ns: int, feed: str) -> str:
    """Return the part of its session in which an instant lies: overnight, pre, regular or post.

    A day without a session, and a market that never closes, have one part.
    """
    rule = session_rule(feed)
    day = rule_session_date(event_time_ns, rule)
    hours = session_hours(day) if is_session(day) else None
    if rule is SessionRule.CONTINUOUS:
        return REGULAR
    if rule is SessionRule.OVERNIGHT and (hours is None or event_time_ns < new_york_ns(day, NIGHT_ENDS)):
        return OVERNIGHT
    if hours is None or hours.open_ns <= event_time_ns < hours.close_ns:
        return REGULAR
    return PRE if event_time_ns < hours.open_ns else POST


def _trading_day_from(day: date) -> date:
    while not is_planned_trading_day(day):
        day += _DAY
    return day
