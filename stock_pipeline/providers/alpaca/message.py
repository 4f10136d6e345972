"""Messages of Alpaca's stock stream, as `Trade` rows and control frames. The connection belongs to `stream`.

Kinds, fields and codes: docs.alpaca.markets, "Real-time Stock Data" and "WebSocket Stream"; codes 410 and 411:
alpaca-trade-api-go, marketdata/stream/errors.go.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from stock_pipeline.domain.capture import ORPHAN, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.alpaca.trade import (
    CANCELED,
    CORRECTED,
    INCORRECT,
    WireTrade,
    build_trade,
    rows_of,
    update_of,
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
class Amendment:
    """Cancel or correction.

    said: the original as the message tells of it, but at the message's time
    corrected: what the original is replaced by; None if it is cancelled
    piece: the message, without the key
    """

    said: Trade
    number: int | str
    corrected: Trade | None
    corrected_number: int | str
    piece: bytes

    @property
    def original_key(self) -> "_Key":
        return self.said.symbol, self.said.exchange, self.number

    @property
    def keeps_its_number(self) -> bool:
        return self.number == self.corrected_number


_Key = tuple[str, str, int | str]


@dataclass(frozen=True, slots=True)
class AlpacaBatch:
    """Content of one message. unsettled: amendments of trades that are not remembered"""

    trades: tuple[Trade, ...] = ()
    unsettled: tuple[Amendment, ...] = ()
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
    """Reader of one feed's messages. It remembers recent trades, because an amendment lacks its original's time.

    The time is part of a trade's identity (its session) and of its place among others, so an amendment of a trade that
    is not remembered must wait until somebody has found the original.
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
        self._recent: OrderedDict[_Key, Trade] = OrderedDict()

    def read(self, message: bytes) -> AlpacaBatch:
        """Return all frames of a message, unreadable ones with their reason."""
        trades: list[Trade] = []
        unsettled: list[Amendment] = []
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
                elif head.T == "t":
                    trades.extend(self._reported(read_piece(piece, WireTrade), head.S))
                else:
                    amendment = self._amendment(head, self._credentials.redact_bytes(bytes(piece)))
                    rows = self.settled(amendment)
                    trades.extend(rows or ())
                    unsettled.extend(() if rows else (amendment,))
            except InvalidTradeError as error:
                bad.append(unreadable(error, bytes(piece), self._credentials))
        return AlpacaBatch(tuple(trades), tuple(unsettled), tuple(bad), tuple(controls))

    def settled(self, amendment: Amendment, original: Trade | None = None) -> list[Trade] | None:
        """Return the rows of an amendment of `original`, by default the remembered one; None if there is none."""
        original = original or self._recent.get(amendment.original_key)
        if original is None:
            return None
        ingest_time_ns = self._now_ns()
        original = replace(original, ingest_time_ns=ingest_time_ns)
        if amendment.corrected is None:
            return rows_of(original, CANCELED)
        corrected = replace(amendment.corrected, ingest_time_ns=ingest_time_ns)
        if amendment.keeps_its_number:
            corrected = replace(
                corrected,
                event_id=original.event_id,
                event_time_ns=original.event_time_ns,
                sequence=original.sequence,
            )
        rows = [*rows_of(original, INCORRECT), *rows_of(corrected, CORRECTED)]
        self._remember(corrected, amendment.corrected_number)
        return rows

    def orphan(self, amendment: Amendment) -> UnreadablePayload:
        """Return the whole message of an amendment whose original nobody knows."""
        detail = f"the trade {amendment.number} of {amendment.said.symbol} is in none of its last sessions"
        return UnreadablePayload(ORPHAN, detail, amendment.piece)

    def _reported(self, wire: WireTrade, symbol: str) -> list[Trade]:
        trade = self._built(wire, symbol)
        rows = rows_of(trade, update_of(wire))
        self._remember(trade, wire.i)
        return rows

    def _amendment(self, head: _Head, piece: bytes) -> Amendment:
        if head.T == "x":
            wire = read_piece(piece, WireTrade)
            return Amendment(self._built(wire, head.S), wire.i, None, wire.i, piece)
        if head.T == "c":
            said = read_piece(piece, _Correction)
            original = WireTrade(said.t, said.op, said.os, said.oi, said.x, said.oc, said.z)
            corrected = WireTrade(said.t, said.cp, said.cs, said.ci, said.x, said.cc, said.z)
            # Both are checked before anything is handed over, because half a correction would be worse than none.
            return Amendment(self._built(original, head.S), said.oi, self._built(corrected, head.S), said.ci, piece)
        # Alpaca adds kinds without notice, and asks clients not to fail on them.
        raise InvalidTradeError(Reason.SCHEMA, f"message type {head.T[:20]!r} was not subscribed to")

    def _built(self, wire: WireTrade, symbol: str) -> Trade:
        return build_trade(wire, symbol, self._feed, self._now_ns())

    def _remember(self, trade: Trade, number: int | str) -> None:
        self._recent[(trade.symbol, trade.exchange, number)] = trade
        if len(self._recent) > self._capacity:
            self._recent.popitem(last=False)


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
