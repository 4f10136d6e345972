"""A market with everything that the page can show."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from stock_pipeline.serving.shapes import (
    Action,
    Alarm,
    Backlog,
    DeadLetters,
    Finding,
    Pipeline,
    Processor,
    RejectedLine,
    Run,
)
from tests.browser.market import ShownMarket, a_day
from tests.support.trades import SESSION

SYMBOLS = ["AAPL", "AMZN", "BRK.A", "CAT", "GOOG", "IBM", "JPM", "MSFT", "NVDA", "TSLA", "XOM"]


EVENING = datetime(2018, 1, 2, 22, tzinfo=UTC)


def closes_before(day: list[Any]) -> dict[str, Decimal]:
    first: dict[str, Decimal] = {}
    for each in day:
        first.setdefault(each.symbol, each.price)
    factors = (Decimal("1.012"), Decimal("0.995"), Decimal("0.988"))
    return {
        symbol: (price * factors[place % 3]).quantize(Decimal("0.01"))
        for place, (symbol, price) in enumerate(first.items())
    }


def full_market() -> ShownMarket:
    """Return a day of eleven symbols, with a past, actions, and lines that are no trades."""
    market, day = ShownMarket(), a_day(SYMBOLS)
    market.yesterday(closes_before(day))
    market.trade(*day)
    corrected = replace(day[-4], price=day[-4].price + 1, version=1, status="corrected")
    market.trade(corrected, replace(day[-6], version=1, status="cancelled"))
    market.service.looked_at = EVENING
    market.actions = {
        "MSFT": [
            Action("cash_dividend", date(2017, 11, 15), cash_amount=Decimal("0.42")),
            Action("split", date(2017, 8, 1), Decimal(1), Decimal(2)),
        ]
    }
    lines = [
        RejectedLine("a:1:0", "schema", "price: required", '{"symbol": "XOM", "volume": 100}', EVENING),
        RejectedLine("a:2", "not_json", "no JSON: line 1 column 1", "<html>502 Bad Gateway</html>", EVENING),
    ]
    runs = [
        Run("session", "SUCCESS", EVENING, EVENING.replace(minute=3), "http://127.0.0.1:3000/runs/1"),
        Run("redrive_job", "FAILURE", EVENING, EVENING.replace(second=41), "http://127.0.0.1:3000/runs/2"),
        Run("garbage_collection", "STARTED", EVENING, None, "http://127.0.0.1:3000/runs/3"),
    ]
    market.pipeline = Pipeline(
        "local",
        EVENING,
        Finding(True, "the newest trade is 3 s old"),
        EVENING,
        DeadLetters(3, 1, {"schema": 2, "not_json": 1}, lines),
        SESSION,
        [Backlog(SESSION, 12, 3_400_000)],
        "",
        {"daily_bars": "no bars of 2018-01-02 yet"},
        4,
        Processor(3600, 0, 1_200_000, 32_000, 7),
        [
            Alarm("stock-pipeline-dev-lag", "ALARM", "over 60 seconds", "docs/runbook.md#lag"),
            Alarm("stock-pipeline-dev-dead", "OK", "", "https://example.com/runbook.md#dead"),
        ],
        runs,
        "http://127.0.0.1:3000",
    )
    return market
