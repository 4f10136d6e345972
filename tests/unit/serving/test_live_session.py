"""Live bars against the domain's: the same trades in any order, batching and number of versions give the same bars."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.bar import Bar, daily_bar, minute_bars
from stock_pipeline.domain.conditions import is_last_eligible
from stock_pipeline.domain.feed_session import feed_session_date, feed_session_hours
from stock_pipeline.domain.moving_average import paid_trades
from stock_pipeline.domain.price_alert import Minute
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade, order_key
from stock_pipeline.serving.live_bar import LiveBar
from stock_pipeline.serving.live_session import LiveSession
from stock_pipeline.serving.units import price_of, shares_of_units, vwap_of_units
from stock_pipeline.trade_table import table_of_trades
from tests.support.oracle import winning_trades
from tests.support.trades import SESSION, trade

NEW_YORK = ZoneInfo("America/New_York")
DATES = (date(2018, 1, 2), date(2018, 11, 5), date(2018, 7, 3), date(2018, 7, 4))
CODES = ("", "", "", "F", "I", "6", "6X", "9", "M", "Q", "O", "OI", "T", "4B", "B", "Z", "?", "7V")
MINUTES = st.sampled_from((200, 240, 569, 570, 571, 779, 780, 959, 960, 961))
FEEDS = ("sim", "sim", "boats")


@st.composite
def batches(draw: st.DrawFn, consistent: bool) -> list[list[Trade]]:
    """Draw batches of rows of few ids. consistent: an id has one time, as a correct source sends it."""
    day = draw(st.sampled_from(DATES))

    def moment() -> int:
        minute = draw(MINUTES)
        midnight = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=NEW_YORK)
        return int(midnight.timestamp()) * 10**9 + draw(st.integers(0, 1)) * 10**9

    times: dict[int, tuple[int, int]] = {}
    feed = draw(st.sampled_from(FEEDS if day != date(2018, 7, 4) else FEEDS[:1]))
    rows = []
    for _ in range(draw(st.integers(1, 25))):
        number = draw(st.integers(0, 9))
        if not consistent or number not in times:
            times[number] = moment(), draw(st.integers(0, 1))
        quote = draw(st.integers(0, 15)) == 0
        event_time_ns, sequence = times[number]
        symbol = "AB"[number % 2]
        rows.append(
            trade(
                event_id=f"{feed}:{symbol}:{number}",
                feed=feed,
                symbol=symbol,
                event_time_ns=event_time_ns,
                sequence=sequence,
                version=draw(st.integers(0, 2)),
                price=Decimal(draw(st.sampled_from((1, 99_999_999_999_999, 3_333, 7_777)))).scaleb(-4),
                volume=None
                if quote
                else draw(st.sampled_from((0, 1, 100, 10**9, Decimal("0.000001"), Decimal("7.5")))),
                capture_mode="quote" if quote else "trade",
                conditions=draw(st.sampled_from(CODES)),
                tape=draw(st.sampled_from(("", "A", "C"))),
                status=draw(st.sampled_from(("good", "good", "good", "corrected", "cancelled", "notice"))),
            )
        )
    rows = draw(st.permutations(rows + rows[: draw(st.integers(0, 3))]))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    return [list(rows[start:end]) for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]


def folding(some: Iterable[Sequence[Trade]], session_date: date, remembered: int = 1000) -> Iterator[LiveSession]:
    """Fold each batch as a file, and yield the session after each."""
    files: dict[str, pl.DataFrame] = {}
    session = LiveSession(session_date, files.__getitem__, remembered)
    for number, rows in enumerate(some):
        files[f"{number}"] = pl.DataFrame(table_of_trades(rows))
        session.add([(f"{number}", files[f"{number}"])])
        yield session


def folded(some: Iterable[Sequence[Trade]], session_date: date) -> LiveSession:
    *_, session = folding(some, session_date)
    return session


def session_of(some: list[list[Trade]]) -> date:
    first = next(row for rows in some for row in rows)
    return feed_session_date(first.event_time_ns, first.feed)


Figures = tuple[Any, ...]


def shown(bar: LiveBar) -> Figures:
    prices = [price_of(each) for each in (bar.open, bar.high, bar.low, bar.close)]
    vwap = vwap_of_units(bar.turnover, bar.priced_volume)
    return (*prices, shares_of_units(bar.volume), vwap, bar.trade_count)


def expected(bar: Bar) -> Figures:
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap, bar.trade_count


def check_bars(session: LiveSession, rows: list[Trade]) -> None:
    for key in {SymbolKey(row.symbol, row.feed) for row in rows}:
        own = [row for row in winning_trades(rows) if (row.symbol, row.feed) == key]
        hours = feed_session_hours(session.session_date, key.feed)
        minutes = {(bar.start_ns, bar.part): shown(bar) for bar in session.minute_bars(key)}
        assert minutes == {place: expected(bar) for place, bar in minute_bars(own, hours).items()}
        assert session.minutes(key) == [
            Minute(bar.start_ns, bar.part, bar.high, bar.low, bar.close, bar.volume) for bar in session.minute_bars(key)
        ]
        day, live_day = daily_bar(own, hours), session.day_bar(key)
        assert (live_day and shown(live_day)) == (day and expected(day))
        paid = sorted(paid_trades(own), key=order_key)
        eligible = [row for row in paid if is_last_eligible(row.conditions, row.tape)]
        live = next(session.days([key]))
        assert (live and (live.latest_ns, live.latest_price)) == (
            (paid[-1].event_time_ns, units(paid[-1])) if paid else None
        )
        assert (live and live.eligible_price) == (units(eligible[-1]) if eligible else None)
        assert (live and live.bar) == live_day


def units(row: Trade) -> int:
    return int(row.price.scaleb(6))


@pytest.mark.slow
@given(batches(consistent=True), st.sampled_from((1, 3, 1000)))
def test_live_bars_are_the_domains_after_every_batch(some: list[list[Trade]], remembered: int) -> None:
    session_date = session_of(some)
    for count, session in enumerate(folding(some, session_date, remembered), 1):
        check_bars(session, list(chain(*some[:count])))


@pytest.mark.slow
@given(batches(consistent=False))
def test_an_id_that_moves_to_another_minute_counts_once(some: list[list[Trade]]) -> None:
    check_bars(folded(some, session_of(some)), list(chain(*some)))


def test_repeats_read_no_file_again() -> None:
    rows = [trade(number) for number in range(100)]
    session = folded([rows[:60], rows[40:], rows], SESSION)
    assert session.rows_read_again == 0
    assert session.day_bar(SymbolKey("ABC", "sim")) is not None


def test_a_correction_reads_only_files_that_reach_into_its_minute() -> None:
    rows = [trade(number) for number in range(0, 600, 10)]
    corrected = replace(rows[0], version=1, status="corrected", volume=7)
    session = folded([rows[:30], rows[30:], [corrected]], SESSION)
    assert session.rows_read_again == 31
    bar = session.day_bar(SymbolKey("ABC", "sim"))
    assert bar is not None
    assert shares_of_units(bar.volume) == 59 * 100 + 7
