from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from stock_pipeline.domain.trade import (
    MAX_INT64,
    MAX_PRICE,
    check_trade,
    derived_event_id,
    precedence,
    provider_event_id,
)
from stock_pipeline.errors import InvalidTradeError
from tests.support.trades import NOON, trade


@pytest.mark.parametrize(
    "changes",
    [
        {"price": Decimal("NaN")},
        {"price": Decimal("Infinity")},
        {"price": Decimal("-Infinity")},
        {"price": Decimal("0")},
        {"price": Decimal("-1")},
        {"price": Decimal("1e999999")},
        {"price": Decimal("0.0000001")},
        {"price": MAX_PRICE + 1},
        {"volume": -1},
        {"volume": MAX_INT64 + 1},
        {"volume": None},
        {"symbol": ""},
        {"symbol": "A" * 300},
        {"symbol": "AAPL\n"},
        {"symbol": " AAPL"},
        {"symbol": "AÄPL"},
        {"feed": "SIP"},
        {"feed": "a b"},
        {"event_id": ""},
        {"event_id": "has blank"},
        {"event_id": "x" * 97},
        {"event_time_ns": -1},
        {"event_time_ns": 10**20},
        {"sequence": -1},
        {"sequence": MAX_INT64 + 1},
        {"version": -1},
        {"version": 2**31},
        {"capture_mode": "guess"},
        {"status": "GOOD"},
        {"exchange": "NYSE-and-many-more"},
        {"conditions": "F I"},
        {"tape": "\n"},
    ],
)
def test_a_value_out_of_its_limits_is_refused_by_name(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTradeError, match=next(iter(changes))):
        check_trade(trade(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"price": MAX_PRICE},
        {"price": Decimal("0.000001")},
        {"price": Decimal("10.5000000000")},
        {"volume": 0},
        {"volume": MAX_INT64},
        {"volume": None, "capture_mode": "quote"},
        {"symbol": "BRK.B"},
        {"symbol": "BINANCE:BTCUSDT"},
        {"exchange": "", "conditions": "", "tape": ""},
        {"conditions": "@TI4"},
    ],
)
def test_a_value_at_its_limit_is_a_trade(changes: dict[str, Any]) -> None:
    check_trade(trade(**changes))


def test_an_event_id_is_unique_by_symbol_exchange_and_session() -> None:
    ids = {
        provider_event_id("iex", "AAPL", date(2026, 1, 16), "V", 7),
        provider_event_id("iex", "AAPL", date(2026, 1, 16), "Q", 7),
        provider_event_id("iex", "AAPL", date(2026, 1, 20), "V", 7),
        provider_event_id("iex", "MSFT", date(2026, 1, 16), "V", 7),
        provider_event_id("sip", "AAPL", date(2026, 1, 16), "V", 7),
    }
    assert len(ids) == 5


def test_equal_trades_of_one_instant_differ_by_ordinal_only() -> None:
    first = derived_event_id("finnhub", "X", NOON, Decimal("1.50"), 3, 0)
    assert derived_event_id("finnhub", "X", NOON, Decimal("1.5"), 3, 0) == first
    assert derived_event_id("finnhub", "X", NOON, Decimal("1.5"), 3, 1) != first


def test_the_later_version_and_the_first_sight_take_precedence() -> None:
    original = trade(1)
    corrected = trade(1, version=1, status="corrected", price=Decimal("1"))
    assert precedence(corrected) > precedence(original)
    seen_again = replace(original, ingest_time_ns=original.ingest_time_ns + 1)
    assert precedence(original) > precedence(seen_again)
