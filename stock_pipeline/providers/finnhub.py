"""Finnhub: last prices by polling, one symbol a call, and trades from websocket messages.

On the free plan its US prices are IEX's. A polled quote (`capture_mode` is quote) counts in no bar, because it has
neither volume nor id. Keeping a websocket open does not belong here.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import SYMBOL, Trade, check_trade, derived_event_id, exact_shares
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.client.api_client import ApiClient, CallObserver
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    HttpClient,
    ProviderPermanentError,
    ProviderRetryableError,
    RequestRefusedError,
    ReusedConnection,
    UnexpectedAnswerError,
)
from stock_pipeline.providers.client.token_bucket import NoTimeLeftError, TokenBucket
from stock_pipeline.providers.payload import read_piece, unreadable

FEED = "finnhub"
BASE_URL = "https://finnhub.io"

BURST_CALLS = 10
REFILL_PER_MINUTE = 50
"""With the burst, the free plan's 60 calls a minute; the burst stays below its 30 a second."""

SECOND_NS = 10**9
MILLISECOND_NS = 10**6


class Quote(msgspec.Struct):
    """Used fields of `/api/v1/quote`.

    c: last price
    t: its time, seconds since 1970
    """

    c: Decimal
    t: int


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """Finnhub's checkpoint.

    turn: symbol to ask next
    quotes: last quote of each symbol (time, price)
    unknown: symbols that Finnhub does not know
    """

    turn: str
    quotes: dict[str, tuple[int, str]]
    unknown: list[str]


class StreamTrade(msgspec.Struct):
    """Trade of a websocket message.

    s: symbol
    p: price
    t: milliseconds since 1970
    v: volume
    """

    s: str
    p: Decimal
    t: int
    v: Decimal


class StreamMessage(msgspec.Struct):
    """Websocket message: `trade` with data, `ping`, or `error` with msg."""

    type: str
    data: list[msgspec.Raw] = []
    msg: str = ""


def finnhub_client(
    credentials: Credentials,
    *,
    now_ns: Callable[[], int],
    wait: Callable[[float], None],
    jitter: random.Random,
    observer: CallObserver,
    http: HttpClient | None = None,
    bucket: TokenBucket | None = None,
) -> ApiClient:
    """Return a client under one key, by default for Finnhub's address and the free plan's budget."""
    return ApiClient(
        "finnhub",
        http or ReusedConnection(BASE_URL, now_ns),
        credentials,
        {"X-Finnhub-Token": credentials.key},
        bucket or TokenBucket(BURST_CALLS, REFILL_PER_MINUTE, now_ns, wait),
        now_ns=now_ns,
        wait=wait,
        jitter=jitter,
        observer=observer,
    )


class FinnhubProvider:
    """Poller of the last prices of `symbols`, in turn. Only the checkpoint lasts between polls."""

    def __init__(self, client: ApiClient, symbols: Sequence[str], now_ns: Callable[[], int]) -> None:
        for symbol in symbols:
            if SYMBOL.fullmatch(symbol) is None:
                raise RequestRefusedError(f"{symbol[:40]!r} is not a ticker symbol: correct or remove it")
        if not symbols:
            raise RequestRefusedError("Finnhub needs at least one symbol")
        self._client = client
        self._symbols = list(dict.fromkeys(symbols))
        self._now_ns = now_ns

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield one capture with the quotes that changed, going on where the last poll stopped.

        Each symbol is asked at most once. Symbols that the budget or `deadline_ns` leaves out come first next time.
        Quotes already read are handed over before an error is raised. The failing symbol has had its turn then, because
        it must not keep the others waiting. Raises what `ApiClient.get` raises.
        """
        rotation = self._rotation(checkpoint)
        trades: list[Trade] = []
        bad: list[UnreadablePayload] = []
        failure: ProviderPermanentError | ProviderRetryableError | None = None
        asked = 0
        for symbol in self._in_turn(rotation.turn):
            try:
                self._ask(symbol, rotation, trades, bad, deadline_ns)
            except NoTimeLeftError:
                break
            except (ProviderPermanentError, ProviderRetryableError) as error:
                failure = error
            asked += 1
            rotation.turn = self._next_to(symbol)
            if failure is not None:
                break
        if asked:
            yield Capture(tuple(trades), tuple(bad), msgspec.json.encode(rotation).decode())
        if failure is not None:
            raise failure

    def _ask(
        self,
        symbol: str,
        rotation: Rotation,
        trades: list[Trade],
        bad: list[UnreadablePayload],
        deadline_ns: int,
    ) -> None:
        target = "/api/v1/quote?" + urlencode({"symbol": symbol})
        body = self._client.get(target, deadline_ns, _checked_quote)
        try:
            trade = self._changed(symbol, body, rotation)
        except InvalidTradeError as error:
            bad.append(unreadable(error, body, self._client.credentials))
        else:
            trades.extend([trade] if trade is not None else [])

    def _changed(self, symbol: str, body: bytes, rotation: Rotation) -> Trade | None:
        """Return the quote as a trade, or None if it adds nothing to the rotation."""
        quote = read_piece(body, Quote)
        if quote.c == 0 or quote.t == 0:
            # Finnhub answers HTTP 200 with zeros for a symbol that it does not know.
            if symbol in rotation.unknown:
                return None
            rotation.unknown.append(symbol)
            raise InvalidTradeError(Reason.VALUE, f"finnhub knows no price of {symbol}")
        if rotation.quotes.get(symbol) == (quote.t, str(quote.c)):
            return None
        trade = _build_trade(symbol, quote.c, quote.t * SECOND_NS, None, 0, self._now_ns())
        rotation.quotes[symbol] = (quote.t, str(quote.c))
        rotation.unknown = [name for name in rotation.unknown if name != symbol]
        return trade

    def _rotation(self, checkpoint: str | None) -> Rotation:
        rotation = Rotation(self._symbols[0], {}, [])
        if checkpoint is not None:
            try:
                rotation = msgspec.json.decode(checkpoint, type=Rotation)
            except msgspec.DecodeError:
                # Quotes have no history: without a checkpoint they are only read once more.
                return rotation
        rotation.quotes = {name: seen for name, seen in rotation.quotes.items() if name in self._symbols}
        rotation.unknown = [name for name in rotation.unknown if name in self._symbols]
        return rotation

    def _in_turn(self, first: str) -> list[str]:
        start = self._symbols.index(first) if first in self._symbols else 0
        return self._symbols[start:] + self._symbols[:start]

    def _next_to(self, symbol: str) -> str:
        return self._symbols[(self._symbols.index(symbol) + 1) % len(self._symbols)]


def parse_stream_message(message: bytes, ingest_time_ns: int, credentials: Credentials) -> Capture:
    """Return the trades of one websocket message; a ping has none.

    Equal trades of one instant are told apart by their order in the message, because Finnhub gives no other. Those of
    two messages in one millisecond can't be. Condition codes are left out, because they are not the tape's letters.

    Raises `UnexpectedAnswerError` for other bytes, and `RequestRefusedError` for Finnhub's error message.
    """
    try:
        content = msgspec.json.decode(message, type=StreamMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnexpectedAnswerError("finnhub sent something that is not a message of its websocket") from None
    if content.type == "error":
        raise RequestRefusedError(f"finnhub refused the subscription ({credentials.redact(content.msg)[:200]})")
    trades: list[Trade] = []
    bad: list[UnreadablePayload] = []
    ordinals: Counter[tuple[str, int, Decimal, Decimal]] = Counter()
    for piece in content.data if content.type == "trade" else []:
        try:
            wire = read_piece(piece, StreamTrade)
            identical = (wire.s, wire.t, wire.p, wire.v)
            trades.append(
                _build_trade(wire.s, wire.p, wire.t * MILLISECOND_NS, wire.v, ordinals[identical], ingest_time_ns)
            )
            ordinals[identical] += 1
        except InvalidTradeError as error:
            bad.append(unreadable(error, bytes(piece), credentials))
    return Capture(tuple(trades), tuple(bad))


def _build_trade(
    symbol: str, price: Decimal, event_time_ns: int, volume: Decimal | None, ordinal: int, ingest_time_ns: int
) -> Trade:
    """Return a checked `Trade`; raises `InvalidTradeError`.

    `sequence` is the ordinal, because Finnhub has no other order.
    """
    if not price.is_finite() or abs(price.adjusted()) > 30:
        raise InvalidTradeError(Reason.VALUE, "the price is not finite or has too many digits")
    shares = None if volume is None else exact_shares(volume)
    trade = Trade(
        event_id=derived_event_id(FEED, symbol, event_time_ns, price, shares, ordinal),
        feed=FEED,
        capture_mode="quote" if shares is None else "trade",
        symbol=symbol,
        event_time_ns=event_time_ns,
        sequence=ordinal,
        price=price,
        volume=shares,
        exchange="",
        conditions="",
        tape="",
        status="good",
        version=0,
        ingest_time_ns=ingest_time_ns,
    )
    check_trade(trade)
    return trade


def _checked_quote(body: bytes) -> bytes:
    """Return the body if it is a quote's, readable or not; raises `UnexpectedAnswerError` for an error or HTML."""
    try:
        content = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"without a quote: {error}") from None
    if not content.keys() >= {"c", "t"}:
        raise UnexpectedAnswerError("without a quote: c or t is missing")
    return body
