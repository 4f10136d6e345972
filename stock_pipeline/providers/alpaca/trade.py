"""A trade as Alpaca writes it, by REST and on its stream, turned into `Trade`.

Both ways share these rules, so that a trade read twice is the same trade. Pages and connections belong to `rest` and
`stream`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import (
    EARLIEST_EVENT_TIME_NS,
    LATEST_EVENT_TIME_NS,
    MAX_INT64,
    Trade,
    check_trade,
    correction_content,
    exact_shares,
    provider_event_id,
)
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.payload import read_piece
from stock_pipeline.providers.timestamps import parse_rfc3339_ns

MAX_TRADE_ID = 2**64 - 1
"""Alpaca's OpenAPI description gives the id as uint64."""


@dataclass(frozen=True, slots=True)
class Update:
    """Status that Alpaca's `u` gives, and the row's weight among rows of the same id."""

    status: str
    version: int


AS_REPORTED = Update("good", 0)
CORRECTED = Update("corrected", 1)
INCORRECT = Update("cancelled", 2)
CANCELED = Update("cancelled", 4)

UPDATES = {None: AS_REPORTED, "corrected": CORRECTED, "incorrect": INCORRECT, "canceled": CANCELED}
"""Alpaca's OpenAPI description of `u`: missing, the trade is valid; `canceled`; `incorrect`, the trade was corrected
and no longer holds; `corrected`, it is the correction of an incorrect one.
"""


class WireTrade(msgspec.Struct):
    """Fields of one trade.

    t: time
    p: price
    s: shares
    i: id
    x: exchange
    c: conditions
    z: tape
    u: update
    """

    t: str
    p: Decimal
    s: int | Decimal
    i: int | str
    x: str | None = None
    c: list[str] | None = None
    z: str | None = None
    u: str | None = None


def read_rows(piece: bytes, symbol: str, feed: str, ingest_time_ns: int) -> list[Trade]:
    """Return the rows of one JSON object of a REST answer; raises `InvalidTradeError`."""
    wire = read_piece(piece, WireTrade)
    return rows_of(build_trade(wire, symbol, feed, ingest_time_ns), update_of(wire))


def update_of(wire: WireTrade) -> Update:
    """Return what `u` says; raises `InvalidTradeError`."""
    update = UPDATES.get(wire.u)
    if update is None:
        raise InvalidTradeError(Reason.VALUE, f"u {str(wire.u)[:40]!r} is not canceled, corrected or incorrect")
    return update


def rows_of(trade: Trade, update: Update) -> list[Trade]:
    """Return what a trade as it was reported and its update are to the lake, whatever else is known of the trade.

    A correction has an identity of its own, with its price, volume and conditions in it, because the original may have
    the same number. A void trade is two rows, because its number may be an original's or a correction's. So each
    identity is settled by its own rows, in any order: as reported, corrected, incorrect, cancelled.
    """
    if update is AS_REPORTED:
        return [trade]
    content = correction_content(trade.price, trade.volume or 0, trade.conditions)
    correction = replace(
        trade,
        event_id=f"{trade.event_id}:{content}",
        status=update.status,
        version=update.version,
    )
    check_trade(correction)
    if update is CORRECTED:
        return [correction]
    return [replace(correction, event_id=trade.event_id), correction]


def build_trade(wire: WireTrade, symbol: str, feed: str, ingest_time_ns: int) -> Trade:
    """Return a checked `Trade` as it was reported; raises `InvalidTradeError` that names the field.

    `sequence` is Alpaca's trade id, or 0 if that is not a 63-bit number. Alpaca orders the trades of one instant and
    exchange by it (its page token holds symbol, time, exchange, id). Every redelivery has it too.
    """
    event_time_ns = _event_time_ns(wire.t)
    exchange = (wire.x or "").strip()
    if isinstance(wire.i, int) and wire.i > MAX_TRADE_ID:
        raise InvalidTradeError(Reason.VALUE, "i is more than the 64 bits of a trade id")
    trade = Trade(
        event_id=provider_event_id(feed, symbol, feed_session_date(event_time_ns, feed), exchange, wire.i),
        feed=feed,
        capture_mode="trade",
        symbol=symbol,
        event_time_ns=event_time_ns,
        sequence=wire.i if isinstance(wire.i, int) and 0 <= wire.i <= MAX_INT64 else 0,
        price=wire.p,
        volume=exact_shares(wire.s),
        exchange=exchange,
        conditions=_conditions(wire.c or ()),
        tape=(wire.z or "").strip(),
        status=AS_REPORTED.status,
        version=AS_REPORTED.version,
        ingest_time_ns=ingest_time_ns,
    )
    check_trade(trade)
    return trade


def _event_time_ns(text: str) -> int:
    try:
        event_time_ns = parse_rfc3339_ns(text)
    except ValueError as error:
        raise InvalidTradeError(Reason.VALUE, f"t: {error}") from None
    if not EARLIEST_EVENT_TIME_NS <= event_time_ns <= LATEST_EVENT_TIME_NS:
        raise InvalidTradeError(Reason.VALUE, f"t {text!r} is not between 1970 and 2100")
    return event_time_ns


def _conditions(codes: Sequence[str]) -> str:
    letters = [code.strip() for code in codes]
    if any(len(letter) > 1 for letter in letters):
        raise InvalidTradeError(Reason.VALUE, "c holds a condition code that is not one letter")
    return "".join(letters)
