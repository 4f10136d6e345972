"""Sessions by feed: the calendar date, the trade date of the night before it, and the day of UTC."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.feed_session import (
    SessionRule,
    feed_session_date,
    feed_session_hours,
    open_hours,
    partition_end_ns,
    partition_start_ns,
    rule_session_bounds_ns,
    rule_session_date,
    session_rule,
)
from stock_pipeline.trade_table import session_days

NEW_YORK = ZoneInfo("America/New_York")
INSTANTS = st.integers(730_000_000 * 10**9, 2_000_000_000 * 10**9)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("feed", "rule"),
    [
        ("sip", "us_equities"),
        ("boats", "overnight"),
        ("overnight", "overnight"),
        ("overnight_24x", "overnight"),
        ("overnights", "us_equities"),
        ("crypto", "continuous"),
        ("crypto_kraken", "continuous"),
        ("cryptos", "us_equities"),
    ],
)
def test_a_feeds_name_says_its_rule(feed: str, rule: str) -> None:
    assert session_rule(feed) == rule


@pytest.mark.parametrize(
    ("moment", "session_date"),
    [
        ("2025-02-10 20:30", "2025-02-11"),
        ("2025-02-11 01:30", "2025-02-11"),
        ("2025-02-11 10:30", "2025-02-11"),
        ("2025-02-11 19:59", "2025-02-11"),
        ("2025-02-09 20:30", "2025-02-10"),  # Sunday
        ("2025-02-07 20:00", "2025-02-10"),  # Friday evening, on which the venue is closed
        ("2025-02-16 20:30", "2025-02-18"),  # Sunday before Washington's Birthday
        ("2025-02-17 20:30", "2025-02-18"),
        ("2026-03-08 20:00", "2026-03-09"),  # the Sunday on which the clocks go forward
        ("2026-11-01 20:00", "2026-11-02"),
        ("2012-10-28 20:30", "2012-10-29"),  # a closing that nobody planned moves no trade
    ],
)
def test_a_night_belongs_to_the_next_trade_date(moment: str, session_date: str) -> None:
    assert feed_session_date(ns(moment), "boats") == date.fromisoformat(session_date)


def test_a_market_that_never_closes_has_days_of_utc() -> None:
    assert feed_session_date(ns("2026-11-28 18:59"), "crypto") == date(2026, 11, 28)  # Saturday
    assert feed_session_date(ns("2026-11-28 19:00"), "crypto") == date(2026, 11, 29)
    assert feed_session_hours(date(2026, 11, 29), "crypto") is not None


@given(INSTANTS, st.sampled_from(list(SessionRule)))
def test_each_instant_lies_within_its_session_only(at_ns: int, rule: SessionRule) -> None:
    session_date = rule_session_date(at_ns, rule)
    start_ns, end_ns = rule_session_bounds_ns(session_date, rule)
    assert start_ns <= at_ns < end_ns
    assert partition_start_ns(session_date) <= start_ns
    assert end_ns <= partition_end_ns(session_date)
    assert partition_end_ns(session_date) - partition_start_ns(session_date) < 2**49
    assert rule_session_date(start_ns, rule) == rule_session_date(end_ns - 1, rule) == session_date
    assert rule_session_date(start_ns - 1, rule) < session_date < rule_session_date(end_ns, rule)


@given(st.lists(st.tuples(INSTANTS, st.sampled_from(("sip", "boats", "crypto_x", "overnight"))), max_size=30))
def test_columns_of_several_feeds_have_the_same_dates_as_their_rows(rows: list[tuple[int, str]]) -> None:
    days = session_days(np.array([at for at, _ in rows], np.int64), pa.array([feed for _, feed in rows], pa.string()))
    assert [date(1970, 1, 1) + timedelta(days=int(day)) for day in days] == [feed_session_date(*row) for row in rows]


def test_a_closed_day_is_no_session_of_the_night() -> None:
    assert feed_session_hours(date(2025, 2, 9), "boats") is None


@pytest.mark.parametrize(
    ("moment", "feed", "is_open"),
    [
        ("2025-02-09 20:00", "boats", True),
        ("2025-02-10 03:59", "boats", True),
        ("2025-02-10 04:00", "boats", False),
        ("2025-02-10 10:00", "boats", False),
        ("2025-02-07 20:30", "boats", False),  # Friday night
        ("2025-02-08 12:00", "crypto", True),
        ("2025-02-08 12:00", "sip", False),
    ],
)
def test_a_market_is_open_at_its_own_hours(moment: str, feed: str, is_open: bool) -> None:
    assert (open_hours(ns(moment), feed) is not None) is is_open
