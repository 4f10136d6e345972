"""A trade as a line of JSON: the contract `contracts/trade.v2.schema.json`, as code.

`decode_trade` alone decides what is a trade, and why a line is rejected. `plain_values` and the fast path of
`batch_decoder` may be quicker, never more lenient.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import (
    CAPTURE_MODES,
    CODES,
    EARLIEST_EVENT_TIME_NS,
    EVENT_ID,
    FEED,
    FIELDS,
    LATEST_EVENT_TIME_NS,
    MAX_INT64,
    MAX_PRICE,
    PRICE_SCALE,
    PRICE_UNIT,
    STATUSES,
    SYMBOL,
    VOLUME_SCALE,
    Trade,
    check_trade,
    exact_shares,
)
from stock_pipeline.errors import InvalidTradeError


class TradeRecord(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """The wire form of `Trade`: the same fields, all required."""

    event_id: str
    feed: str
    capture_mode: str
    symbol: str
    event_time_ns: int
    sequence: int
    price: Decimal
    volume: int | Decimal | None
    exchange: str
    conditions: str
    tape: str
    status: str
    version: int
    ingest_time_ns: int


_Time = Annotated[int, Meta(ge=EARLIEST_EVENT_TIME_NS, le=LATEST_EVENT_TIME_NS)]
_Int64 = Annotated[int, Meta(ge=0, le=MAX_INT64)]


class _PlainRecord(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A `TradeRecord` whose integers keep their limits."""

    event_id: str
    feed: str
    capture_mode: str
    symbol: str
    event_time_ns: _Time
    sequence: _Int64
    price: Decimal
    volume: _Int64 | Decimal
    exchange: str
    conditions: str
    tape: str
    status: str
    version: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    ingest_time_ns: _Time


FEW_VALUES: dict[str, Callable[[str], object]] = {
    "feed": FEED.fullmatch,
    "symbol": SYMBOL.fullmatch,
    "exchange": CODES.fullmatch,
    "conditions": CODES.fullmatch,
    "tape": CODES.fullmatch,
    "capture_mode": CAPTURE_MODES.__contains__,
    "status": STATUSES.__contains__,
}
"""Text fields with few distinct values, and their checks. A batch checks each value once."""

STRING_FIELDS = tuple(name for name, kind in TradeRecord.__annotations__.items() if kind is str)

QUOTES_PER_LINE = 2 * (len(FIELDS) + len(STRING_FIELDS))
"""Double quotes in a valid line without escapes: around each key and text value. A missing, further or repeated field,
or a number given as text, changes their number."""

_decoder = msgspec.json.Decoder(TradeRecord)
_plain_decoder = msgspec.json.Decoder(_PlainRecord)
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode_trade(trade: Trade) -> bytes:
    """Return the trade as JSON without a newline. Price and volume are numbers with the trade's digits."""
    return _encoder.encode(trade)


def decode_trade(line: bytes) -> Trade:
    """Return the trade in a line. Raises `InvalidTradeError` with the reason and the field."""
    try:
        record = _decoder.decode(line)
    except msgspec.ValidationError as error:
        raise InvalidTradeError(Reason.SCHEMA, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidTradeError(Reason.NOT_JSON, str(error) or "nested too deeply") from None
    if b"\\" in line or line.count(b'"') != QUOTES_PER_LINE:
        _check_fields_once_and_decimals_numbers(line)
    trade = Trade(*msgspec.structs.astuple(record))
    check_trade(trade)
    if int(trade.price.as_tuple().exponent) < -PRICE_SCALE:
        # zeros after the sixth place are legal, but a decimal column refuses more digits than it has
        trade = replace(trade, price=trade.price.quantize(PRICE_UNIT))
    if isinstance(trade.volume, Decimal):
        trade = replace(trade, volume=exact_shares(trade.volume))
    return trade


def is_trade(line: bytes) -> bool:
    try:
        decode_trade(line)
    except InvalidTradeError:
        return False
    return True


def plain_values(line: bytes) -> tuple[Any, ...] | None:
    """Return the values of `FIELDS`, or None if anything about the line is unusual.

    It takes a third of the time of `decode_trade`.
    """
    if line.count(b'"') != QUOTES_PER_LINE or b"\\" in line:
        return None
    try:
        record = _plain_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    texts = (
        record.feed,
        record.symbol,
        record.exchange,
        record.conditions,
        record.tape,
        record.capture_mode,
        record.status,
    )
    if not _are_allowed(texts) or EVENT_ID.fullmatch(record.event_id) is None or not _is_price(record.price):
        return None
    if not isinstance(record.volume, int):
        if not _is_volume(record.volume):
            return None
        record.volume = exact_shares(record.volume)
    return msgspec.structs.astuple(record)


@lru_cache(maxsize=32_768)
def _are_allowed(texts: tuple[str, ...]) -> bool:
    """Check the values of `FEW_VALUES`, in its order. Cached, because few are distinct."""
    return all(allowed(text) for allowed, text in zip(FEW_VALUES.values(), texts, strict=True))


def _is_price(price: Decimal) -> bool:
    if not price.is_finite():
        return False
    exponent = price.as_tuple().exponent
    return 0 < price <= MAX_PRICE and isinstance(exponent, int) and exponent >= -PRICE_SCALE


def _is_volume(volume: Decimal) -> bool:
    if not volume.is_finite():
        return False
    exponent = volume.as_tuple().exponent
    return 0 <= volume <= MAX_INT64 and isinstance(exponent, int) and exponent >= -VOLUME_SCALE


def _check_fields_once_and_decimals_numbers(line: bytes) -> None:
    """Reject what msgspec accepts: a repeated field, and a price or volume given as text."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise InvalidTradeError(Reason.SCHEMA, f"field {name} is given more than once")
        return dict(pairs)

    fields = json.loads(line, object_pairs_hook=once, parse_float=Decimal)
    for name in ("price", "volume"):
        if isinstance(fields[name], str):
            raise InvalidTradeError(Reason.SCHEMA, f"Expected a number, got `str` - at `$.{name}`")
