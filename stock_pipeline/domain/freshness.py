"""Judges what must be there by when, on the exchange's calendar. The clock and the findings come in.

Each session is judged by itself, so that remaking an old one says nothing about the latest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from stock_pipeline.domain.capture import capture_end_ns
from stock_pipeline.domain.feed_session import feed_end_ns, is_feed_session, open_hours
from stock_pipeline.domain.session import (
    NANOSECONDS,
    exchange_time_zone,
)

PUBLICATION_DEADLINE = time(22, 0)
"""New York time of the session's own day. Compaction starts at 20:30, and may be tried again."""

LAG_LIMIT_SECONDS = 300
"""Age of the newest trade in an open market, and the wait for the first one."""

CLOCK_SKEW_SECONDS = 60
"""A trade from further ahead is wrong, and must not hide that others stopped."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and one sentence with the reason."""

    fresh: bool
    why: str


@dataclass(frozen=True, slots=True)
class DueSession:
    """A session whose deadline has passed.

    is_first: the lake's first, of which nobody can say whether the lake was there by its deadline.
    feed: the one that the deployment captures.
    """

    session_date: date
    is_first: bool = False
    feed: str = ""


def deadline(session_date: date) -> datetime:
    """Return when the session has to be published and built."""
    return datetime.combine(session_date, PUBLICATION_DEADLINE, exchange_time_zone())


def expected_session(now: datetime, feed: str = "") -> date:
    """Return the feed's latest session whose deadline has passed."""
    day = now.astimezone(exchange_time_zone()).date()
    while not is_feed_session(day, feed) or now < deadline(day):
        day -= timedelta(days=1)
    return day


def due_session(now: datetime, first: date | None, feed: str = "") -> DueSession | None:
    """Return the latest session whose deadline has passed, if the lake goes back to it.

    first: the lake's first session; None if it has none.
    """
    expected = expected_session(now, feed)
    if first is None or expected < first:
        return None
    return DueSession(expected, expected == first, feed)


def judge_session(
    due: DueSession | None,
    made_at: datetime | None,
    delay_seconds: int = 0,
    lacks_nothing: bool = False,
    read_to_ns: int | None = None,
) -> Finding:
    """Judge if the due session was made whole: after its last trades were captured, from all that the source had.

    made_at: the last time it was made, if ever.
    delay_seconds: how far the feed is behind the clock.
    lacks_nothing: nothing has come since then.
    read_to_ns: until when the source was read; None if nothing tells.
    """
    if due is None:
        return Finding(True, "no session of this lake is due yet")
    session_date = due.session_date
    if made_at is None and due.is_first:
        return Finding(True, f"session {session_date} is this lake's first, and is due once it was made")
    if made_at is None:
        return Finding(False, f"session {session_date} was due by {PUBLICATION_DEADLINE:%H:%M} and is not there")
    made = f"session {session_date} was made at {made_at:%Y-%m-%d %H:%M} UTC"
    if is_early(due, made_at, delay_seconds) and not lacks_nothing:
        return Finding(False, f"{made}, before its capture ended")
    if read_to_ns is not None and read_to_ns < feed_end_ns(session_date, due.feed):
        read_to = datetime.fromtimestamp(read_to_ns // NANOSECONDS, UTC)
        return Finding(False, f"{made}, but its source was read only to {read_to:%Y-%m-%d %H:%M} UTC")
    return Finding(True, made)


def is_early(due: DueSession, made_at: datetime, delay_seconds: int) -> bool:
    """Tell if the session was made before its last trades were captured."""
    return made_at.timestamp() < capture_end_ns(due.session_date, delay_seconds, due.feed) / NANOSECONDS


def judge_bars(due: DueSession | None, bars: int) -> Finding:
    """Judge if the due session has bars, where the time they were made is unknown."""
    if due is None or (due.is_first and bars == 0):
        return Finding(True, "no bars are due yet")
    if bars == 0:
        return Finding(False, f"bars of {due.session_date} were due by {PUBLICATION_DEADLINE:%H:%M} and are not there")
    return Finding(True, f"session {due.session_date} has {bars} bars")


def newest_event(event_times_ns: Iterable[int], now_ns: int) -> int | None:
    """Return the newest time that can be right."""
    latest_ns = now_ns + CLOCK_SKEW_SECONDS * NANOSECONDS
    return max((time_ns for time_ns in event_times_ns if time_ns <= latest_ns), default=None)


def judge_stream(newest_event_ns: int | None, now: datetime, delay_seconds: int = 0, feed: str = "") -> Finding:
    """Judge if trades come in as they happen, or as long after as the feed is delayed.

    While the market is closed, or what the feed shows of it, they need not.
    """
    shown = now - timedelta(seconds=delay_seconds)
    now_ns = int(shown.timestamp()) * NANOSECONDS
    hours = open_hours(now_ns, feed)
    if hours is None:
        return Finding(True, "the market is closed")
    since_ns = max(newest_event_ns or 0, hours.open_ns)
    lag = max(0, (now_ns - since_ns) // NANOSECONDS)
    delayed = f", beyond the feed's delay of {delay_seconds} s" if delay_seconds else ""
    if newest_event_ns is None or newest_event_ns < hours.open_ns:
        why = f"the market has been open for {lag} s{delayed}, and no trade has come"
        return Finding(lag <= LAG_LIMIT_SECONDS, why)
    return Finding(lag <= LAG_LIMIT_SECONDS, f"the newest trade is {lag} s old{delayed}")
