"""Bars of a published session, made of a few of its rows, are those that the domain makes of all of them."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from stock_pipeline.domain.bar import daily_bar
from stock_pipeline.domain.session import session_hours
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake import session_bars
from stock_pipeline.lake.session_bars import published_bars
from tests.support.lake import SESSION, Lake
from tests.support.oracle import winning_trades
from tests.support.trades import trade

MORNING_NS = int(datetime(2018, 1, 2, 13, tzinfo=UTC).timestamp()) * 10**9
CONDITIONS = ["", "", "@", "I", "TI", "O", "6", "Z", "4", "L", "M", "Q", "9", "U", "W", "B"]


def random_trades(seed: int) -> list[Trade]:
    draw = random.Random(seed)
    return [
        trade(
            number,
            symbol=draw.choice(["AA", "BB", "CC"]),
            event_time_ns=MORNING_NS + draw.randrange(10 * 3600) * 10**9,
            price=Decimal(draw.randrange(900, 1100)) / 100,
            volume=draw.choice([0, 100, 200, Decimal("0.25"), draw.randrange(1, 500)]),
            conditions=draw.choice(CONDITIONS),
            tape=draw.choice("ABC"),
            status=draw.choice(["good", "good", "good", "corrected", "cancelled", "notice"]),
            feed=draw.choice(["sim", "sim", "other"]),
        )
        for number in range(draw.choice([1, 5, 60]))
    ]


@pytest.mark.parametrize("seed", range(12))
def test_bars_of_a_version_are_the_domains(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_bars, "_BATCH_ROWS", 7)
    lake, trades = Lake(), random_trades(seed)
    lake.add(trades, 1)
    lake.compactor.compact(SESSION)
    of_feed = [row for row in winning_trades(trades) if row.feed == "sim"]
    wanted = {
        symbol: daily_bar([row for row in of_feed if row.symbol == symbol], session_hours(SESSION))
        for symbol in {row.symbol for row in of_feed}
    }
    assert published_bars(lake.partition, "sim") == {
        symbol: replace(bar, vwap=None) for symbol, bar in wanted.items() if bar is not None
    }


def test_a_session_that_is_not_published_has_no_bars() -> None:
    assert published_bars(Lake().partition, "sim") is None
