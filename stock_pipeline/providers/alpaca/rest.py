"""Alpaca Market Data v2 by REST: every trade of all symbols at once, from a checkpoint on.

Only polling belongs here; `pages` reads. Free keys see the feed `iex`, a few per cent of the volume. Every trade names
its feed, and feeds are never mixed.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlencode

import msgspec

from stock_pipeline.domain.capture import OVERLAP_SECONDS, Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.alpaca.pages import CapturePosition, CheckpointError, TradePages
from stock_pipeline.providers.client.api_client import ApiClient, CallObserver
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    HttpClient,
    RequestRefusedError,
    ReusedConnection,
    UnexpectedAnswerError,
)
from stock_pipeline.providers.client.token_bucket import NoTimeLeftError, TokenBucket
from stock_pipeline.providers.payload import read_piece, unreadable
from stock_pipeline.providers.seen_trades import SeenTrades

NANOSECONDS = 10**9

BASE_URL = "https://data.alpaca.markets"
BURST_CALLS = 50
REFILL_PER_MINUTE = 150
"""With the burst, the Basic plan's 200 calls a minute."""


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
        look_back_seconds: int = 0,
    ) -> None:
        """Prepare polling; raises `RequestRefusedError` for unusable symbols or an unusable feed.

        overlap_seconds: read again for late prints and corrections
        delay_seconds: lag of the window's end, because the free plan refuses the last 15 minutes of `sip`
        look_back_seconds: the overlap is read again so often; 0 is at every poll
        """
        self._client = client
        self._pages = TradePages(client, symbols, feed, now_ns)
        self._now_ns = now_ns
        self._overlap_ns = overlap_seconds * NANOSECONDS
        self._delay_ns = delay_seconds * NANOSECONDS
        self._look_back_ns = look_back_seconds * NANOSECONDS
        self._seen = SeenTrades()

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield pages of trades since `checkpoint`, each with the checkpoint to keep once its trades are in the stream.

        Without a checkpoint it begins now: the first capture is empty and says so, before the API is asked. Then the
        last `overlap_seconds` are read. At `deadline_ns` the poll ends without loss: the next one goes on at the same
        page. Raises `CheckpointError` and what `ApiClient.get` raises.
        """
        if checkpoint is None:
            checkpoint = self._beginning()
            yield Capture((), (), checkpoint)
        self._seen.resume(checkpoint)
        position = self._next_window(checkpoint)
        if position.looked_back_ns == position.end_ns:
            self._seen.forget_before(position.start_ns)
        resumed = position.page_token is not None
        while position.start_ns < position.end_ns:
            try:
                page, after = self._pages.read(position, deadline_ns)
            except NoTimeLeftError:
                return
            except RequestRefusedError:
                if not resumed:
                    raise
                # The page token has expired; its window must still be read.
                resumed, position = False, msgspec.structs.replace(position, page_token=None)
                continue
            resumed, position = False, after
            yield self._capture(page, position)
            if position.page_token is None:
                return

    def first_prices(self, deadline_ns: int) -> Capture:
        """Return each symbol's latest trade from snapshots, for a first display only.

        Snapshots lack odd lots and corrections (Alpaca's reference). An unknown symbol is reported as unreadable.
        Raises what `ApiClient.get` raises.
        """
        target = "/v2/stocks/snapshots?" + urlencode({"symbols": self._pages.symbols, "feed": self._pages.feed})
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
                self._pages.read_into(trades, bad, symbol, latest, ingest_time_ns)
        return Capture(tuple(trades), tuple(bad))

    def _beginning(self) -> str:
        end_ns = self._now_ns() - self._delay_ns
        return _text(self._pages.window(end_ns, end_ns))

    def _next_window(self, checkpoint: str) -> CapturePosition:
        try:
            position = msgspec.json.decode(checkpoint, type=CapturePosition)
        except msgspec.DecodeError:
            raise CheckpointError(
                "the checkpoint is not Alpaca's: restore it, or delete it to begin now, without the trades since"
            ) from None
        if position.page_token is None:
            return self._window_after(position)
        return self._pages.resumed(position)

    def _window_after(self, position: CapturePosition) -> CapturePosition:
        """Return the next window. One that looks back begins an overlap before the end of the last that did.

        A print that is late by less than the overlap is so in one of them, however many windows lie between.
        """
        end_ns, looked_back_ns = self._now_ns() - self._delay_ns, position.looked_back_ns
        start_ns = position.end_ns
        if looked_back_ns is None or end_ns - looked_back_ns >= self._look_back_ns:
            start_ns = (looked_back_ns or position.end_ns) - self._overlap_ns
            looked_back_ns = end_ns
        return msgspec.structs.replace(self._pages.window(start_ns, end_ns), looked_back_ns=looked_back_ns)

    def _capture(self, page: Capture, position: CapturePosition) -> Capture:
        trades = self._seen.unseen(page.trades)
        unreadable = self._seen.unseen_unreadable(page.unreadable)
        checkpoint = _text(position)
        self._seen.hand_over(checkpoint, trades, unreadable, position.end_ns)
        return Capture(tuple(trades), tuple(unreadable), checkpoint)


def _text(position: CapturePosition) -> str:
    return msgspec.json.encode(position).decode()


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
