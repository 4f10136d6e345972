"""A trade as Alpaca writes it, by REST and on its stream, turned into `Trade`.

Both ways share these rules, so that a trade read twice is the same trade. Pages and connections belong to `rest` and
`stream`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.trade import (
    EARLIEST_EVENT_TIME_NS,
    LATEST_EVENT_TIME_NS,
    MAX_INT64,
    Trade,
    check_trade,
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
CORRECTED_IN_PLACE = Update("corrected", 3)
CANCELED = Update("cancelled", 4)

UPDATES = {None: AS_REPORTED, "corrected": CORRECTED, "incorrect": INCORRECT, "canceled": CANCELED}
"""Alpaca's OpenAPI description of `u`: missing, the trade is valid; `canceled`; `incorrect`, the trade was corrected
and no longer holds; `corrected`, it is the correction of an incorrect one.

A correction comes as two trades with ids of their own (every recorded stream correction has `oi` != `ci`): the
incorrect one is void for good, and the corrected one counts. `incorrect` outweighs `corrected`, because a correction
may be corrected again. `pair_corrections` treats rows of one id.
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
    s: int
    i: int | str
    x: str | None = None
    c: list[str] | None = None
    z: str | None = None
    u: str | None = None


def read_trade(piece: bytes, symbol: str, feed: str, ingest_time_ns: int) -> Trade:
    """Return the trade in one JSON object of a REST answer; raises `InvalidTradeError`."""
    return trade_of(read_piece(piece, WireTrade), symbol, feed, ingest_time_ns)


def trade_of(wire: WireTrade, symbol: str, feed: str, ingest_time_ns: int) -> Trade:
    """Return the trade with the status and version of its `u`; raises `InvalidTradeError`."""
    update = UPDATES.get(wire.u)
    if update is None:
        raise InvalidTradeError(Reason.VALUE, f"u {str(wire.u)[:40]!r} is not canceled, corrected or incorrect")
    return build_trade(wire, update, symbol, feed, ingest_time_ns)


def build_trade(wire: WireTrade, update: Update, symbol: str, feed: str, ingest_time_ns: int) -> Trade:
    """Return a checked `Trade`; raises `InvalidTradeError` that names the field.

    `sequence` is Alpaca's trade id, or 0 if that is not a 63-bit number. Alpaca orders the trades of one instant and
    exchange by it (its page token holds symbol, time, exchange, id). Every redelivery has it too.
    """
    event_time_ns = _event_time_ns(wire.t)
    exchange = (wire.x or "").strip()
    if isinstance(wire.i, int) and wire.i > MAX_TRADE_ID:
        raise InvalidTradeError(Reason.VALUE, "i is more than the 64 bits of a trade id")
    trade = Trade(
        event_id=provider_event_id(feed, symbol, session_date_of(event_time_ns), exchange, wire.i),
        feed=feed,
        capture_mode="trade",
        symbol=symbol,
        event_time_ns=event_time_ns,
        sequence=wire.i if isinstance(wire.i, int) and 0 <= wire.i <= MAX_INT64 else 0,
        price=wire.p,
        volume=wire.s,
        exchange=exchange,
        conditions=_conditions(wire.c or ()),
        tape=(wire.z or "").strip(),
        status=update.status,
        version=update.version,
        ingest_time_ns=ingest_time_ns,
    )
    check_trade(trade)
    return trade


def pair_corrections(trades: Iterable[Trade]) -> list[Trade]:
    """Let the correction win where an incorrect and a corrected row share one id.

    The later row is the correction, whatever its label, because clients report both labellings and a correction can't
    precede its original. At one instant the label decides. Both rows stay, because either may be read alone.
    """
    trades = list(trades)
    corrections: dict[str, Trade] = {}
    paired: set[str] = set()
    for trade in trades:
        if (trade.status, trade.version) in ((CORRECTED.status, CORRECTED.version), _INCORRECT_ROW):
            other = corrections.setdefault(trade.event_id, trade)
            if other.status != trade.status:
                paired.add(trade.event_id)
                corrections[trade.event_id] = max(other, trade, key=_lateness)
    return [_paired(trade, corrections[trade.event_id]) if trade.event_id in paired else trade for trade in trades]


_INCORRECT_ROW = (INCORRECT.status, INCORRECT.version)


def _lateness(trade: Trade) -> tuple[int, bool]:
    return trade.event_time_ns, trade.status == CORRECTED.status


def _paired(trade: Trade, correction: Trade) -> Trade:
    if trade.version not in (CORRECTED.version, INCORRECT.version):
        return trade
    update = CORRECTED_IN_PLACE if trade is correction else INCORRECT
    return replace(trade, status=update.status, version=update.version)


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
