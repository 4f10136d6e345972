"""Trades for tests: valid by default, each field yours to change."""

from datetime import date
from decimal import Decimal
from typing import Any

from stock_pipeline.domain.trade import Trade

SESSION = date(2018, 1, 2)
NOON = 1_514_912_400_000_000_000  # of SESSION, in New York
DAY_NS = 86_400 * 10**9


def trade(number: int = 0, **changes: Any) -> Trade:
    """The `number`-th trade of a quiet session: one a second, each with its own id."""
    fields: dict[str, Any] = {
        "event_id": f"sim:ABC:20180102:X:{number}",
        "feed": "sim",
        "capture_mode": "trade",
        "symbol": "ABC",
        "event_time_ns": NOON + number * 10**9,
        "sequence": number,
        "price": Decimal("10.50") + number,
        "volume": 100,
        "exchange": "X",
        "conditions": "",
        "tape": "A",
        "status": "good",
        "version": 0,
        "ingest_time_ns": NOON + number * 10**9 + 5_000_000,
    }
    return Trade(**{**fields, **changes})


def trade_on(session_date: date, number: int, **changes: Any) -> Trade:
    """The `number`-th trade of another session; its event id is that of `SESSION`'s."""
    later = (session_date - SESSION).days * DAY_NS
    return trade(number, event_time_ns=NOON + number * 10**9 + later, **changes)
