"""One trade as one line of JSON: the contract `contracts/trade.v1.schema.json`, as code.

`decode_trade` is the strict path: it alone decides what is a trade and what is rejected, and why. The fast path
of `batch_decoder` may only be quicker, never more lenient.
"""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import FIELDS, PRICE_SCALE, PRICE_UNIT, Trade, check_trade
from stock_pipeline.errors import InvalidTradeError


class TradeRecord(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """The wire form of `Trade`: the same fields, every one of them required."""

    event_id: str
    feed: str
    capture_mode: str
    symbol: str
    event_time_ns: int
    sequence: int
    price: Decimal
    volume: int | None
    exchange: str
    conditions: str
    tape: str
    status: str
    version: int
    ingest_time_ns: int


STRING_FIELDS = tuple(name for name, kind in TradeRecord.__annotations__.items() if kind is str)

QUOTES_PER_LINE = 2 * (len(FIELDS) + len(STRING_FIELDS))
"""Double quotes in a valid line without escapes: around each key and each text value. One more field, a field
given twice, or a number given as text has more; a missing one less."""

_decoder = msgspec.json.Decoder(TradeRecord)
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode_trade(trade: Trade) -> bytes:
    """One line of JSON without its newline. The price is a number with exactly the trade's digits."""
    return _encoder.encode(trade)


def decode_trade(line: bytes) -> Trade:
    """The trade in a line, or `InvalidTradeError` with the reason and the field."""
    try:
        record = _decoder.decode(line)
    except msgspec.ValidationError as error:
        raise InvalidTradeError(Reason.SCHEMA, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidTradeError(Reason.NOT_JSON, str(error) or "nested too deeply") from None
    if b"\\" in line or line.count(b'"') != QUOTES_PER_LINE:
        _check_fields_once_and_price_a_number(line)
    trade = Trade(*msgspec.structs.astuple(record))
    check_trade(trade)
    if int(trade.price.as_tuple().exponent) < -PRICE_SCALE:
        # zeros behind the sixth place are legal, but a decimal column refuses more digits than it has
        trade = replace(trade, price=trade.price.quantize(PRICE_UNIT))
    return trade


def _check_fields_once_and_price_a_number(line: bytes) -> None:
    """What msgspec lets pass: it takes the last of a repeated field, and a decimal given as text."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise InvalidTradeError(Reason.SCHEMA, f"field {name} is given more than once")
        return dict(pairs)

    fields = json.loads(line, object_pairs_hook=once, parse_float=Decimal)
    if isinstance(fields["price"], str):
        raise InvalidTradeError(Reason.SCHEMA, "Expected a number, got `str` - at `$.price`")
