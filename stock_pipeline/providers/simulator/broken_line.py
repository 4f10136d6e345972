"""Broken lines: the ways in which a line breaks, each with the contract's reason.

What rejects a line belongs to `streaming`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import msgspec

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import LATEST_EVENT_TIME_NS, Trade

_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """Line that must be rejected for `reason`, with the symbol of the trade it was made of."""

    symbol: str
    kind: str
    reason: Reason
    line: bytes


def break_line(trade: Trade, kind: str) -> BrokenLine:
    """Return the trade's line, broken in a way of `KINDS`. Different trades make different lines."""
    reason, broken = KINDS[kind]
    return BrokenLine(trade.symbol, kind, reason, broken(asdict(trade)))


def _with(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda fields: _encoder.encode({**fields, **changes})


def _without(name: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda fields: _encoder.encode({key: value for key, value in fields.items() if key != name})


def _with_bare_price(text: bytes) -> Callable[[dict[str, Any]], bytes]:
    return lambda fields: _encoder.encode({**fields, "price": None}).replace(b'"price":null', b'"price":' + text)


KINDS: dict[str, tuple[Reason, Callable[[dict[str, Any]], bytes]]] = {
    "prose": (Reason.NOT_JSON, lambda fields: f"bought {fields['symbol']}, see {fields['event_id']}".encode()),
    "half a line": (Reason.NOT_JSON, lambda fields: _encoder.encode(fields)[:-40]),
    "two trades on a line": (Reason.NOT_JSON, lambda fields: _encoder.encode(fields) * 2),
    "not UTF-8": (Reason.NOT_JSON, lambda fields: _encoder.encode(fields).replace(b'"tape":"A"', b'"tape":"\xff"')),
    "price not a number": (Reason.NOT_JSON, _with_bare_price(b"NaN")),
    "array": (Reason.SCHEMA, lambda fields: _encoder.encode(list(fields.values()))),
    "field missing": (Reason.SCHEMA, _without("event_time_ns")),
    "unknown field": (Reason.SCHEMA, _with(mood="bullish")),
    "field twice": (Reason.SCHEMA, lambda fields: _encoder.encode(fields)[:-1] + b',"price":1.00}'),
    "volume as text": (Reason.SCHEMA, _with(volume="a lot")),
    "price as text": (Reason.SCHEMA, _with(price="12.50")),
    "price null": (Reason.SCHEMA, _with(price=None)),
    "negative price": (Reason.VALUE, _with(price=Decimal("-1.25"))),
    "seven decimal places": (Reason.VALUE, _with(price=Decimal("1.0000001"))),
    "volume beyond 64 bits": (Reason.VALUE, lambda fields: _with_large_volume(fields)),
    "time after 2100": (Reason.VALUE, _with(event_time_ns=LATEST_EVENT_TIME_NS + 1)),
    "symbol of 300 characters": (Reason.VALUE, _with(symbol="X" * 300)),
    "unknown status": (Reason.VALUE, _with(status="maybe")),
}


def _with_large_volume(fields: dict[str, Any]) -> bytes:
    # msgspec writes no integer beyond 64 bits
    return _encoder.encode({**fields, "volume": None}).replace(b'"volume":null', b'"volume":%d' % 2**64)
