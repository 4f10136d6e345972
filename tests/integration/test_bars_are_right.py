"""Random trades through dbt's SQL and through the reference in Python: both agree, and keep the laws of bars."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.bar import Bar, daily_bar, session_part_bars
from stock_pipeline.domain.feed_session import feed_session_date, feed_session_hours
from stock_pipeline.domain.trade import Trade, exact_shares
from stock_pipeline.trade_table import table_of_trades
from tests.support.built_lake import BuiltLake
from tests.support.trades import trade

pytestmark = pytest.mark.xdist_group("dbt")

NEW_YORK = ZoneInfo("America/New_York")
DATES = (
    date(2018, 1, 2),
    date(2018, 3, 12),  # first session of daylight-saving time
    date(2018, 11, 5),  # and first one after it
    date(2018, 7, 3),  # a half day
    date(2018, 7, 4),  # no session
)
CODES = (
    "",
    "F",
    "I",
    "FI",
    "6",
    "6X",
    "9",
    "M",
    "Q",
    "O",
    "OI",
    "T",
    "U",
    "4B",
    "B",
    "Z",
    "?",
    "L",
    "@",
    "7V",
    "P",
    "4",
    "G",
    "3",
    "R",
    "W",
)
VOLUMES = st.one_of(st.integers(0, 10**6), st.just(0), st.decimals(0, 10**6, places=6).map(exact_shares))

MINUTES_OF_DAY = st.one_of(
    st.sampled_from((569, 570, 571, 779, 780, 959, 960, 961, 1_260)), st.integers(4 * 60, 24 * 60 - 1)
)
PRICES = st.decimals(Decimal("0.0001"), Decimal(10_000), places=4)


@st.composite
def trades_of_some_sessions(draw: st.DrawFn) -> list[Trade]:
    """Draw trades of a few symbols, feeds and sessions, each with its own id. Late ones cross midnight UTC."""
    trades = []
    for number in range(draw(st.integers(1, 25))):
        day, minute = draw(st.sampled_from(DATES)), draw(MINUTES_OF_DAY)
        moment = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=NEW_YORK)
        quote = draw(st.integers(0, 15)) == 0
        trades.append(
            trade(
                number,
                symbol=draw(st.sampled_from("AB")),
                feed=draw(st.sampled_from(("iex", "sip", "boats", "crypto"))),
                event_time_ns=int(moment.timestamp()) * 10**9 + draw(st.integers(0, 59)) * 10**9,
                sequence=draw(st.integers(0, 3)),
                price=draw(PRICES),
                volume=None if quote else draw(VOLUMES),
                capture_mode="quote" if quote else "trade",
                conditions=draw(st.sampled_from(CODES)),
                tape=draw(st.sampled_from(("", "A", "B", "C"))),
                status=draw(st.sampled_from(("good", "good", "good", "corrected", "cancelled", "notice"))),
            )
        )
    return trades


@contextmanager
def lake_of(lake: BuiltLake, trades: list[Trade]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield the built database with these trades in place of the lake's."""
    with duckdb.connect(str(lake.duckdb_path)) as connection:
        connection.register("given_trades", table_of_trades(trades))
        parts = "year(session_date)::int as year, month(session_date)::int as month, day(session_date)::int as day"
        utc = "event_time at time zone 'UTC' as event_time, ingest_time at time zone 'UTC' as ingest_time"
        connection.begin()
        connection.execute("drop view main.trades")
        connection.execute(
            f"create table main.trades as select * exclude (year, month, day) replace ({utc}), {parts} "
            "from (select *, 0 as year, 0 as month, 0 as day from given_trades)"
        )
        connection.execute("drop view main.unpublished_trades")
        connection.execute("create table main.unpublished_trades as select * from main.trades where false")
        try:
            yield connection
        finally:
            connection.rollback()


def rows(connection: duckdb.DuckDBPyConnection, lake: BuiltLake, model: str) -> list[dict[str, Any]]:
    """Return the rows of the model's query, as dbt compiled it."""
    compiled = lake.duckdb_path.parent / "target/compiled/stock_pipeline/models/marts" / f"{model}.sql"
    cursor = connection.execute(compiled.read_text())
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def key_of(one: Trade) -> tuple[str, str, date]:
    return one.symbol, one.feed, feed_session_date(one.event_time_ns, one.feed)


def merged(minutes: list[dict[str, Any]]) -> tuple[Any, ...]:
    """Merge a session's minute bars into one, as the model's description says."""
    minutes = sorted(minutes, key=lambda minute: minute["minute_start"])
    any_priced = [minute for minute in minutes if minute["open"] is not None]
    priced = [minute for minute in any_priced if not minute["is_sold_late"]] or any_priced[:1]
    closing = [minute["closing_price"] for minute in minutes if minute["closing_price"] is not None]
    shares = sum(minute["vwap_volume"] for minute in minutes)
    turnover = sum(minute["turnover"] for minute in minutes)
    return (
        priced[0]["open"] if priced else None,
        max((minute["high"] for minute in any_priced), default=None),
        min((minute["low"] for minute in any_priced), default=None),
        (closing or [minute["close"] for minute in priced[-1:]] or [None])[0],
        sum(minute["volume"] for minute in minutes),
        (turnover / shares).quantize(Decimal("0.000001"), ROUND_HALF_UP) if shares else None,
        sum(minute["trade_count"] for minute in minutes),
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trades=trades_of_some_sessions())
def test_sql_and_python_agree_and_minutes_merge_into_days(lake: BuiltLake, trades: list[Trade]) -> None:
    expected = [
        bar
        for (_, feed, day), group in groupby(sorted(trades, key=key_of), key=key_of)
        if (bar := daily_bar(list(group), feed_session_hours(day, feed))) is not None
    ]
    expected_parts = {
        (*of_session, part): bar
        for of_session, group in groupby(sorted(trades, key=key_of), key=key_of)
        for part, bar in session_part_bars(list(group), feed_session_hours(of_session[2], of_session[1])).items()
    }
    with lake_of(lake, trades) as connection:
        daily = rows(connection, lake, "daily_bars")
        minute = rows(connection, lake, "minute_bars")
        parts = rows(connection, lake, "session_part_bars")
    names = [column.name for column in fields(Bar)]
    found = [Bar(*(row[name] for name in names)) for row in daily]
    assert sorted(found, key=key) == sorted(expected, key=key)
    found_parts = {part_key(row): Bar(*(row[name] for name in names)) for row in parts}
    assert found_parts == expected_parts
    for of_part, bar in found_parts.items():
        of_bar = [row for row in minute if part_key(row) == of_part]
        assert merged(of_bar) == figures(bar)
    for bar in found:
        of_day = {of_part[3]: part for of_part, part in found_parts.items() if of_part[:3] == key(bar)}
        assert sum(part.volume for part in of_day.values()) == bar.volume
        assert sum(part.trade_count for part in of_day.values()) == bar.trade_count
        if bar.feed != "boats":
            prices = (bar.open, bar.high, bar.low, bar.close, bar.vwap)
            regular = of_day.get("regular")
            assert prices == ((None,) * 5 if regular is None else (*figures(regular)[:4], regular.vwap))


def part_key(row: dict[str, Any]) -> tuple[str, str, date, str]:
    return row["symbol"], row["feed"], row["session_date"], row["session_part"]


def figures(bar: Bar) -> tuple[Any, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap, bar.trade_count


def key(bar: Bar) -> tuple[str, str, date]:
    return bar.symbol, bar.feed, bar.session_date


@given(trades=trades_of_some_sessions())
def test_low_and_high_enclose_every_price_of_a_bar(trades: list[Trade]) -> None:
    for (_, feed, day), group in groupby(sorted(trades, key=key_of), key=key_of):
        bar = daily_bar(list(group), feed_session_hours(day, feed))
        if bar is None or bar.low is None or bar.high is None:
            assert bar is None or (bar.open, bar.close, bar.vwap) == (None, None, None)
            continue
        for price in (bar.open, bar.close, bar.vwap or bar.low):
            assert price is not None
            assert bar.low <= price <= bar.high


def sessions_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=3 * number) for number in range(count)]


def test_exponential_averages_equal_the_plain_recursion(lake: BuiltLake) -> None:
    """Longer than two blocks of every span but the greatest, which has one block's end in it."""
    days = sessions_from(date(2010, 1, 4), 2_100)
    closes = [Decimal(100 + (number * 37) % 83) for number in range(len(days))]
    with duckdb.connect(str(lake.duckdb_path)) as connection:
        connection.begin()
        connection.execute("delete from main.daily_bars")
        connection.executemany(
            "insert into main.daily_bars by name select 'A' as symbol, 'sim' as feed, ?::date as session_date, "
            "?::decimal(18, 6) as close, 0 as volume, 1 as trade_count",
            list(zip(days, closes, strict=True)),
        )
        found = sorted(rows(connection, lake, "daily_moving_averages"), key=lambda row: row["session_date"])
        connection.rollback()
    assert len(found) == len(days)
    for span in (5, 20, 50, 200):
        average = float(closes[0])
        for number, row in enumerate(found):
            if number:
                average += (float(closes[number]) - average) * 2 / (span + 1)
            assert float(row[f"ema_{span}"]) == pytest.approx(average, abs=2e-6)
            window = closes[max(number - span + 1, 0) : number + 1]
            mean = (sum(window, Decimal(0)) / span).quantize(Decimal("0.000001"), ROUND_HALF_UP)
            assert row[f"sma_{span}"] == (mean if len(window) == span else None)
