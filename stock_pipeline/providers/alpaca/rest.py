"""Alpaca Market Data v2 by REST: every trade of all symbols at once, from a checkpoint on.

Only polling and paging belong here. Free keys see the feed `iex`, a few per cent of the volume. Every trade names its
feed, and feeds are never mixed.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlencode

import msgspec

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import FEED, SYMBOL, Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.alpaca.trade import pair_corrections, read_trade
from stock_pipeline.providers.client.api_client import ApiClient, CallObserver
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    HttpClient,
    ProviderPermanentError,
    RequestRefusedError,
    ReusedConnection,
    UnexpectedAnswerError,
)
from stock_pipeline.providers.client.token_bucket import NoTimeLeftError, TokenBucket
from stock_pipeline.providers.payload import read_piece, unreadable
from stock_pipeline.providers.seen_trades import SeenTrades
from stock_pipeline.providers.timestamps import format_rfc3339_ns

NANOSECONDS = 10**9

BASE_URL = "https://data.alpaca.markets"
PAGE_LIMIT = 10_000
"""Most trades of one page, counted over all its symbols."""

BURST_CALLS = 50
REFILL_PER_MINUTE = 150
"""With the burst, the Basic plan's 200 calls a minute."""

OVERLAP_SECONDS = 300


class CheckpointError(ProviderPermanentError):
    """The checkpoint is another provider's. Going on from now would lose trades, so an operator must decide."""

    kind = "checkpoint"


class CapturePosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Checkpoint: the window `start_ns <= t <= end_ns`, and its next page; None once it is complete.

    A time alone can't say how far a window was read, because Alpaca pages by symbol first.

    query: hash of the feed and symbols that the page token belongs to
    """

    start_ns: int
    end_ns: int
    page_token: str | None
    query: str


class TradePage(msgspec.Struct):
    """Page of `/v2/stocks/trades`, its trades still unread."""

    trades: dict[str, msgspec.Raw] | None
    next_page_token: str | None = None


def alpaca_client(
    credentials: Credentials,
    *,
    now_ns: Callable[[], int],
    wait: Callable[[float], None],
    jitter: random.Random,
    observer: CallObserver,
    http: HttpClient | None = None,
    bucket: TokenBucket | None = None,
) -> ApiClient:
    """Return a client under one key, by default for Alpaca's address and the Basic plan's budget.

    Share it between all uses of the key, because the budget is the key's.
    """
    return ApiClient(
        "alpaca",
        http or ReusedConnection(BASE_URL, now_ns),
        credentials,
        {"APCA-API-KEY-ID": credentials.key, "APCA-API-SECRET-KEY": credentials.secret},
        bucket or TokenBucket(BURST_CALLS, REFILL_PER_MINUTE, now_ns, wait),
        now_ns=now_ns,
        wait=wait,
        jitter=jitter,
        observer=observer,
    )


class AlpacaProvider:
    """Poller of the trades of `symbols` on one feed. Not safe to share between threads."""

    def __init__(
        self,
        client: ApiClient,
        symbols: Sequence[str],
        now_ns: Callable[[], int],
        feed: str = "iex",
        overlap_seconds: int = OVERLAP_SECONDS,
        delay_seconds: int = 0,
    ) -> None:
        """Prepare polling; raises `RequestRefusedError` for unusable symbols or an unusable feed.

        overlap_seconds: read again at every poll, for late prints and corrections
        delay_seconds: lag of the window's end, because the free plan refuses the last 15 minutes of `sip`
        """
        for symbol in symbols:
            if SYMBOL.fullmatch(symbol) is None or "," in symbol:
                raise RequestRefusedError(f"{symbol[:40]!r} is not a ticker symbol: correct or remove it")
        if not symbols or FEED.fullmatch(feed) is None:
            raise RequestRefusedError("Alpaca needs at least one symbol, and a feed such as iex or sip")
        self._client = client
        self._symbols = ",".join(sorted(set(symbols)))
        self._now_ns = now_ns
        self._feed = feed
        self._overlap_ns = overlap_seconds * NANOSECONDS
        self._delay_ns = delay_seconds * NANOSECONDS
        self._query = hashlib.sha256(f"{feed}:{self._symbols}".encode()).hexdigest()[:16]
        self._seen = SeenTrades()

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield pages of trades since `checkpoint`, each with the checkpoint to keep once its trades are in the stream.

        Without a checkpoint, the last `overlap_seconds` are read. At `deadline_ns` the poll ends without loss: the next
        one goes on at the same page. Raises `CheckpointError` and what `ApiClient.get` raises.
        """
        self._seen.resume(checkpoint)
        position = self._next_window(checkpoint)
        self._seen.forget_before(position.start_ns)
        resumed = position.page_token is not None
        while position.start_ns < position.end_ns:
            try:
                page = self._page(position, deadline_ns)
            except NoTimeLeftError:
                return
            except RequestRefusedError:
                if not resumed:
                    raise
                # The page token has expired; its window must still be read.
                resumed, position = False, msgspec.structs.replace(position, page_token=None)
                continue
            resumed, position = False, self._after(position, page)
            yield self._capture(page, position)
            if position.page_token is None:
                return

    def capture_since(self, start_ns: int, deadline_ns: int) -> Iterator[Capture]:
        """Yield every trade from the overlap before `start_ns` until now, to close a gap of the stream; no checkpoints.

        Raises `NoTimeLeftError` if the deadline comes before the last page: the gap is still open.
        """
        position = self._window(start_ns - self._overlap_ns)
        while position.start_ns < position.end_ns:
            page = self._page(position, deadline_ns)
            position = self._after(position, page)
            trades, bad = self._read(page)
            yield Capture(tuple(trades), tuple(bad))
            if position.page_token is None:
                return

    def first_prices(self, deadline_ns: int) -> Capture:
        """Return each symbol's latest trade from snapshots, for a first display only.

        Snapshots lack odd lots and corrections (Alpaca's reference). An unknown symbol is reported as unreadable.
        Raises what `ApiClient.get` raises.
        """
        target = "/v2/stocks/snapshots?" + urlencode({"symbols": self._symbols, "feed": self._feed})
        snapshots = self._client.get(target, deadline_ns, _read_snapshots)
        ingest_time_ns = self._now_ns()
        trades: list[Trade] = []
        bad: list[UnreadablePayload] = []
        for symbol, piece in snapshots.items():
            try:
                latest = _latest_trade(symbol, piece)
            except InvalidTradeError as error:
                bad.append(unreadable(error, bytes(piece), self._client.credentials))
                continue
            if latest is not None:
                self._read_into(trades, bad, symbol, latest, ingest_time_ns)
        return Capture(tuple(trades), tuple(bad))

    def _next_window(self, checkpoint: str | None) -> CapturePosition:
        if checkpoint is None:
            return self._window(self._now_ns() - self._delay_ns - self._overlap_ns)
        try:
            position = msgspec.json.decode(checkpoint, type=CapturePosition)
        except msgspec.DecodeError:
            raise CheckpointError(
                "the checkpoint is not Alpaca's: restore it, or delete it to begin now, without the trades since"
            ) from None
        if position.page_token is None:
            return self._window(position.end_ns - self._overlap_ns)
        if position.query != self._query:
            return msgspec.structs.replace(position, page_token=None, query=self._query)
        return position

    def _window(self, start_ns: int) -> CapturePosition:
        return CapturePosition(max(start_ns, 0), self._now_ns() - self._delay_ns, None, self._query)

    def _page(self, position: CapturePosition, deadline_ns: int) -> TradePage:
        parameters = {
            "symbols": self._symbols,
            "start": format_rfc3339_ns(position.start_ns),
            "end": format_rfc3339_ns(position.end_ns),
            "limit": str(PAGE_LIMIT),
            "feed": self._feed,
            "sort": "asc",
        }
        if position.page_token is not None:
            parameters["page_token"] = position.page_token
        return self._client.get("/v2/stocks/trades?" + urlencode(parameters), deadline_ns, read_page)

    def _after(self, position: CapturePosition, page: TradePage) -> CapturePosition:
        token = page.next_page_token or None
        if token is not None and token == position.page_token:
            raise UnexpectedAnswerError("alpaca names the same next page twice: its pages would never end")
        return msgspec.structs.replace(position, page_token=token)

    def _capture(self, page: TradePage, position: CapturePosition) -> Capture:
        trades, bad = self._read(page)
        unseen = self._seen.unseen(trades)
        checkpoint = msgspec.json.encode(position).decode()
        self._seen.hand_over(checkpoint, unseen)
        return Capture(tuple(unseen), tuple(bad), checkpoint)

    def _read(self, page: TradePage) -> tuple[list[Trade], list[UnreadablePayload]]:
        ingest_time_ns = self._now_ns()
        trades: list[Trade] = []
        bad: list[UnreadablePayload] = []
        for symbol, raw in (page.trades or {}).items():
            try:
                pieces = msgspec.json.decode(raw, type=list[msgspec.Raw] | None) or []
            except msgspec.DecodeError as error:
                problem = InvalidTradeError(Reason.SCHEMA, f"trades of a symbol are not a list: {error}")
                bad.append(unreadable(problem, bytes(raw), self._client.credentials))
                continue
            for piece in pieces:
                self._read_into(trades, bad, symbol, bytes(piece), ingest_time_ns)
        return pair_corrections(trades), bad

    def _read_into(
        self, trades: list[Trade], bad: list[UnreadablePayload], symbol: str, piece: bytes, ingest_time_ns: int
    ) -> None:
        try:
            trades.append(read_trade(piece, symbol, self._feed, ingest_time_ns))
        except InvalidTradeError as error:
            bad.append(unreadable(error, piece, self._client.credentials))


def read_page(body: bytes) -> TradePage:
    """Return one page; raises `UnexpectedAnswerError` if the body is not a page."""
    try:
        return msgspec.json.decode(body, type=TradePage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.json.decode(quote_bare_words(body), type=TradePage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"without a page of trades: {error}") from None


_STRING_OR_BARE_WORD = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?\b(?:NaN|Infinity|inf|nan)\b', re.DOTALL)


def quote_bare_words(body: bytes) -> bytes:
    """Turn `NaN` and `Infinity`, which JSON lacks, into strings: one trade is rejected instead of its page."""
    return _STRING_OR_BARE_WORD.sub(
        lambda match: match[0] if match[0].startswith(b'"') else b'"' + match[0] + b'"', body
    )


def _read_snapshots(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        snapshots = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"without snapshots: {error}") from None
    if snapshots and not any(bytes(piece)[:1] in (b"{", b"n") for piece in snapshots.values()):
        # An error under status 200: its values are texts and numbers.
        raise UnexpectedAnswerError("without snapshots: no symbol has an object")
    return snapshots


_NULL = msgspec.Raw(b"null")


class _Snapshot(msgspec.Struct):
    # A union of Raw and None would only take null.
    latest: msgspec.Raw = msgspec.field(name="latestTrade", default=_NULL)


def _latest_trade(symbol: str, piece: msgspec.Raw) -> bytes | None:
    """Return the latest trade's piece or None; raises `InvalidTradeError` for an unknown symbol."""
    if piece == _NULL:
        raise InvalidTradeError(Reason.VALUE, f"alpaca knows no symbol {symbol[:40]!r}")
    latest = read_piece(piece, _Snapshot).latest
    return None if latest == _NULL else bytes(latest)
