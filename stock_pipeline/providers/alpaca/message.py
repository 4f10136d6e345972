"""Messages of Alpaca's stock stream, as `Trade` rows and control frames. The connection belongs to `stream`.

Kinds, fields and codes: docs.alpaca.markets, "Real-time Stock Data" and "WebSocket Stream"; codes 410 and 411:
alpaca-trade-api-go, marketdata/stream/errors.go.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from stock_pipeline.domain.capture import UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.alpaca.trade import (
    CANCELED,
    CORRECTED,
    CORRECTED_IN_PLACE,
    INCORRECT,
    Update,
    WireTrade,
    build_trade,
    trade_of,
)
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    CredentialsRefusedError,
    ProviderPermanentError,
    ProviderRetryableError,
    ProviderUnavailableError,
    RequestRefusedError,
)
from stock_pipeline.providers.payload import read_piece, unreadable

REMEMBERED_TRADES = 50_000
"""Enough for most corrections, which come within seconds or minutes; about 30 MB."""

_PLAN_CODES = frozenset({402, 409, 411})
_REQUEST_CODES = frozenset({400, 401, 403, 405, 408, 410})
_CONTROL_KINDS = frozenset({"success", "error", "subscription"})


class ConnectionLimitError(ProviderRetryableError):
    """The key has another connection open. Alpaca allows one, and notices a dropped one late."""

    kind = "connection_limit"


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """Frame `success`, `error` (with its code) or `subscription` (with the symbols whose trades it confirms)."""

    kind: str
    text: str
    code: int | None = None
    trades: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlpacaBatch:
    """Content of one message."""

    trades: tuple[Trade, ...] = ()
    unreadable: tuple[UnreadablePayload, ...] = ()
    controls: tuple[ControlFrame, ...] = ()


class _Head(msgspec.Struct):
    T: str
    S: str = ""
    msg: str = ""
    code: int | None = None
    trades: tuple[str, ...] | None = None


class _Correction(msgspec.Struct):
    t: str
    oi: int | str
    op: Decimal
    os: int
    ci: int | str
    cp: Decimal
    cs: int
    x: str | None = None
    oc: list[str] | None = None
    cc: list[str] | None = None
    z: str | None = None


class MessageReader:
    """Reader of one feed's messages. It remembers recent trades, because a correction lacks its original's time.

    Without its original, a row takes the message's later time, and so prevails over the original in `trade.precedence`.
    """

    def __init__(
        self,
        feed: str,
        credentials: Credentials,
        now_ns: Callable[[], int],
        remembered_trades: int = REMEMBERED_TRADES,
    ) -> None:
        self._feed = feed
        self._credentials = credentials
        self._now_ns = now_ns
        self._capacity = remembered_trades
        self._recent: OrderedDict[tuple[str, str, int | str], Trade] = OrderedDict()

    def read(self, message: bytes) -> AlpacaBatch:
        """Return all frames of a message, unreadable ones with their reason."""
        trades: list[Trade] = []
        bad: list[UnreadablePayload] = []
        controls: list[ControlFrame] = []
        try:
            pieces = read_piece(message, list[msgspec.Raw])
        except InvalidTradeError as error:
            return AlpacaBatch(unreadable=(unreadable(error, message, self._credentials),))
        for piece in pieces:
            try:
                head = read_piece(piece, _Head)
                if head.T in _CONTROL_KINDS:
                    controls.append(_control(head, self._credentials))
                else:
                    trades.extend(self._rows(head, bytes(piece)))
            except InvalidTradeError as error:
                bad.append(unreadable(error, bytes(piece), self._credentials))
        return AlpacaBatch(tuple(trades), tuple(bad), tuple(controls))

    def _rows(self, head: _Head, piece: bytes) -> list[Trade]:
        if head.T == "t":
            return [self._remembered(read_piece(piece, WireTrade), head.S)]
        if head.T == "x":
            wire = read_piece(piece, WireTrade)
            return [self._amended(wire, CANCELED, head.S)]
        if head.T == "c":
            return self._correction(read_piece(piece, _Correction), head.S)
        # Alpaca adds kinds without notice, and asks clients not to fail on them.
        raise InvalidTradeError(Reason.SCHEMA, f"message type {head.T[:20]!r} was not subscribed to")

    def _correction(self, wire: _Correction, symbol: str) -> list[Trade]:
        """Return the void original and the corrected trade under its own id; one row if both have the same id."""
        original = WireTrade(wire.t, wire.op, wire.os, wire.oi, wire.x, wire.oc, wire.z)
        corrected = WireTrade(wire.t, wire.cp, wire.cs, wire.ci, wire.x, wire.cc, wire.z)
        if wire.oi != wire.ci:
            # Checked before anything is handed over, because half a correction would be worse than none.
            row = self._built(corrected, CORRECTED, symbol)
            return [self._amended(original, INCORRECT, symbol), row]
        known = self._recent.get((symbol, (wire.x or "").strip(), wire.oi))
        row = self._built(corrected, CORRECTED_IN_PLACE, symbol)
        if known is not None:
            row = replace(row, event_id=known.event_id, event_time_ns=known.event_time_ns, sequence=known.sequence)
        return [row]

    def _amended(self, wire: WireTrade, update: Update, symbol: str) -> Trade:
        known = self._recent.get((symbol, (wire.x or "").strip(), wire.i))
        if known is None:
            return self._built(wire, update, symbol)
        return replace(known, status=update.status, version=update.version, ingest_time_ns=self._now_ns())

    def _built(self, wire: WireTrade, update: Update, symbol: str) -> Trade:
        return build_trade(wire, update, symbol, self._feed, self._now_ns())

    def _remembered(self, wire: WireTrade, symbol: str) -> Trade:
        trade = trade_of(wire, symbol, self._feed, self._now_ns())
        self._recent[(symbol, trade.exchange, wire.i)] = trade
        if len(self._recent) > self._capacity:
            self._recent.popitem(last=False)
        return trade


def controls_of(message: bytes, credentials: Credentials) -> list[ControlFrame]:
    """Return the control frames of a message, whatever else is in it."""
    try:
        heads = [read_piece(piece, _Head) for piece in read_piece(message, list[msgspec.Raw])]
    except InvalidTradeError:
        return []
    return [_control(head, credentials) for head in heads if head.T in _CONTROL_KINDS]


def _control(head: _Head, credentials: Credentials) -> ControlFrame:
    return ControlFrame(head.T, credentials.redact(head.msg), head.code, head.trades or ())


def error_of(frame: ControlFrame, credentials: Credentials) -> ProviderPermanentError | ProviderRetryableError:
    """Return what an `error` frame means: permanent for key, plan or request, else worth another connection."""
    said = f"alpaca's stream answered {frame.code} ({frame.text[:200]})"
    if frame.code in _PLAN_CODES:
        return CredentialsRefusedError(f"{said}: check the key in {credentials.source} and what its plan allows")
    if frame.code in _REQUEST_CODES:
        return RequestRefusedError(f"{said}: check the symbols, their number and the feed")
    if frame.code == 406:
        return ConnectionLimitError(f"{said}: stop the other connection of the key in {credentials.source}")
    return ProviderUnavailableError(said)
