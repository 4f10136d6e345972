"""Freshness on the exchange's calendar. Times are New York's, where the rules are."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.feed_session import open_hours
from stock_pipeline.domain.freshness import (
    LAG_LIMIT_SECONDS,
    DueSession,
    due_session,
    expected_session,
    judge_bars,
    judge_session,
    judge_stream,
    newest_event,
)
from stock_pipeline.domain.session import NANOSECONDS, is_trading_day

NEW_YORK = ZoneInfo("America/New_York")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * NANOSECONDS


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-01-15 21:59", "2026-01-14"),  # Thursday, before its deadline
        ("2026-01-15 22:00", "2026-01-15"),
        ("2026-01-16 09:00", "2026-01-15"),
        ("2026-01-17 12:00", "2026-01-16"),  # Saturday
        ("2026-01-19 23:00", "2026-01-16"),  # Monday, Martin Luther King Jr. Day
        ("2026-01-20 21:00", "2026-01-16"),
        ("2026-01-20 22:30", "2026-01-20"),
        ("2026-11-26 23:00", "2026-11-25"),  # Thanksgiving
        ("2026-11-27 21:00", "2026-11-25"),  # the half day after it has the same deadline
        ("2026-11-27 22:00", "2026-11-27"),
        ("2026-03-08 23:30", "2026-03-06"),  # the Sunday on which the clocks go forward
        ("2026-03-09 22:00", "2026-03-09"),
        ("2026-11-01 23:30", "2026-10-30"),  # and back
        ("2026-11-02 21:59", "2026-10-30"),
        ("2026-04-05 12:00", "2026-04-02"),  # Easter Sunday: Good Friday was closed
    ],
)
def test_the_latest_session_past_its_deadline_is_expected(now: str, expected: str) -> None:
    assert expected_session(at(now)) == date.fromisoformat(expected)


def test_the_deadline_is_new_yorks_across_a_clock_change() -> None:
    assert expected_session(datetime.fromisoformat("2026-03-07T02:59:00+00:00")) == date(2026, 3, 5)
    assert expected_session(datetime.fromisoformat("2026-03-07T03:00:00+00:00")) == date(2026, 3, 6)
    assert expected_session(datetime.fromisoformat("2026-03-10T01:59:00+00:00")) == date(2026, 3, 6)
    assert expected_session(datetime.fromisoformat("2026-03-10T02:00:00+00:00")) == date(2026, 3, 9)


@given(st.integers(1_180_000_000, 1_890_000_000), st.integers(0, 10**6))
def test_the_expected_session_is_over_and_never_goes_back(second: int, seconds: int) -> None:
    now = datetime.fromtimestamp(second, UTC)
    session_date = expected_session(now)
    assert is_trading_day(session_date)
    assert timedelta(0) <= now.astimezone(NEW_YORK).date() - session_date <= timedelta(days=6)
    assert expected_session(now + timedelta(seconds=seconds)) >= session_date


def due(text: str) -> DueSession:
    return DueSession(date.fromisoformat(text))


@pytest.mark.parametrize(
    ("day", "delay", "too_early", "whole"),
    [
        ("2026-01-15", 0, ["15:05", "16:05", "19:59", "20:09"], "20:10"),
        ("2026-01-15", 16 * 60, ["16:05", "20:10", "20:25"], "20:26"),
        ("2026-11-27", 0, ["12:55", "13:05", "17:09"], "17:10"),  # a half day
        ("2026-11-27", 16 * 60, ["17:10", "17:25"], "17:26"),
    ],
)
def test_a_session_missing_or_made_before_its_capture_ended_is_stale(
    day: str, delay: int, too_early: list[str], whole: str
) -> None:
    session = due(day)
    assert not judge_session(session, None, delay).fresh
    for time in too_early:
        assert not judge_session(session, at(f"{day} {time}"), delay).fresh, time
    assert judge_session(session, at(f"{day} {whole}"), delay).fresh
    assert judge_session(session, at("2026-12-15 12:00"), delay).fresh


def test_a_session_made_early_is_whole_if_nothing_came_since() -> None:
    session = due("2026-01-15")
    assert judge_session(session, at("2026-01-15 19:05"), lacks_nothing=True).fresh
    assert not judge_session(session, None, lacks_nothing=True).fresh


@pytest.mark.parametrize(("day", "end"), [("2026-01-15", "20:00"), ("2026-11-27", "17:00")])
def test_a_session_is_not_whole_before_its_source_was_read_to_the_end(day: str, end: str) -> None:
    evening, end_ns = at(f"{day} 20:35"), ns(at(f"{day} {end}"))
    behind = judge_session(due(day), evening, read_to_ns=end_ns - 1)
    assert not behind.fresh
    assert "its source was read only to" in behind.why
    assert judge_session(due(day), evening, read_to_ns=end_ns).fresh
    assert not judge_session(due(day), at(f"{day} 16:00"), lacks_nothing=True, read_to_ns=end_ns - 1).fresh


def test_a_session_is_due_from_the_lakes_first_one_on() -> None:
    evening = at("2026-01-15 22:00")
    assert due_session(evening, None) is None
    assert due_session(evening, date(2026, 1, 16)) is None
    assert due_session(evening, date(2026, 1, 14)) == DueSession(date(2026, 1, 15))
    assert due_session(evening - timedelta(minutes=1), date(2026, 1, 15)) is None
    assert judge_session(None, None).fresh
    assert judge_bars(None, 0).fresh


def test_the_first_session_is_judged_once_it_was_made() -> None:
    """A lake that begins after its deadline can't have it yet."""
    first = due_session(at("2026-01-15 22:00"), date(2026, 1, 15))
    assert first == DueSession(date(2026, 1, 15), is_first=True)
    assert judge_session(first, None).fresh
    assert not judge_session(first, at("2026-01-15 15:05")).fresh
    assert judge_bars(first, 0).fresh
    assert not judge_bars(due("2026-01-15"), 0).fresh
    assert judge_bars(due("2026-01-15"), 9).fresh


def test_a_closed_market_makes_no_stream_stale() -> None:
    for now in (
        "2026-01-15 09:29",
        "2026-01-15 16:00",
        "2026-01-17 12:00",  # Saturday
        "2026-01-19 12:00",  # holiday
        "2026-11-27 13:00",  # half day, after its close
        "2026-03-08 12:00",  # Sunday of a clock change
    ):
        assert judge_stream(None, at(now)).fresh, now


@pytest.mark.parametrize("day", ["2026-01-15", "2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02", "2026-11-27"])
def test_an_open_market_without_trades_is_soon_stale(day: str) -> None:
    yesterday = ns(at(f"{day} 09:30") - timedelta(hours=17))
    for newest in (None, yesterday):
        assert judge_stream(newest, at(f"{day} 09:35")).fresh
        assert not judge_stream(newest, at(f"{day} 09:36")).fresh


def test_the_lag_counts_from_the_newest_trade() -> None:
    now = at("2026-01-15 12:00")
    assert judge_stream(ns(now) - LAG_LIMIT_SECONDS * NANOSECONDS, now).fresh
    assert not judge_stream(ns(now) - (LAG_LIMIT_SECONDS + 1) * NANOSECONDS, now).fresh
    assert judge_stream(ns(now) + NANOSECONDS, now).fresh
    assert not judge_stream(ns(at("2026-11-27 12:00")), at("2026-11-27 12:06")).fresh


def test_a_trade_from_the_future_hides_nothing() -> None:
    now = ns(at("2026-01-15 12:00"))
    assert newest_event([now - 5, now + 3_600 * NANOSECONDS], now) == now - 5
    assert newest_event([now + NANOSECONDS], now) == now + NANOSECONDS
    assert newest_event([], now) is None


def test_a_delayed_feed_is_judged_that_much_later() -> None:
    delay = 16 * 60
    now = at("2026-01-15 12:00")
    shown = ns(now) - delay * NANOSECONDS
    assert judge_stream(shown - LAG_LIMIT_SECONDS * NANOSECONDS, now, delay).fresh
    late = judge_stream(shown - (LAG_LIMIT_SECONDS + 1) * NANOSECONDS, now, delay)
    assert (late.fresh, late.why) == (False, "the newest trade is 301 s old, beyond the feed's delay of 960 s")
    # A paid plan is ahead of the delay.
    assert judge_stream(ns(now), now, delay).fresh
    # It opens and closes that much later.
    assert judge_stream(None, at("2026-01-15 09:45"), delay).fresh
    assert judge_stream(None, at("2026-01-15 09:51"), delay).fresh
    assert not judge_stream(None, at("2026-01-15 09:52"), delay).fresh
    assert not judge_stream(None, at("2026-01-15 16:15"), delay).fresh
    assert judge_stream(None, at("2026-01-15 16:16"), delay).fresh


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-01-15 09:29", False),
        ("2026-01-15 09:30", True),
        ("2026-01-15 15:59", True),
        ("2026-01-15 16:00", False),
        ("2026-01-17 12:00", False),  # Saturday
        ("2026-01-19 12:00", False),  # Martin Luther King Jr. Day
        ("2026-11-27 12:59", True),  # half day
        ("2026-11-27 13:00", False),
        ("1992-06-01 12:00", False),  # before the calendar
    ],
)
def test_the_market_is_open_in_regular_hours_only(moment: str, is_open: bool) -> None:
    assert (open_hours(ns(at(moment))) is not None) is is_open
