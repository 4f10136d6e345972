"""A provider to begin from: copy it into stock_pipeline/providers/, and change what the API names its things.

This API, made up, answers `GET /v1/trades?symbols=AAPL,MSFT&after=17` with the next trades by their number:
`{"trades": [{"n": 18, "s": "AAPL", "t": "2026-11-25T14:30:00.000000001Z", "p": 1.25, "q": 100}], "last": 18}`.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade, check_trade, exact_shares
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.client.api_client import ApiClient, CallObserver
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import HttpClient, ReusedConnection, UnexpectedAnswerError
from stock_pipeline.providers.client.token_bucket import NoTimeLeftError, TokenBucket
from stock_pipeline.providers.payload import read_piece, unreadable
from stock_pipeline.providers.timestamps import parse_rfc3339_ns

FEED = "ticks"
BASE_URL = "https://api.example.com"
BURST_CALLS, REFILL_PER_MINUTE = 10, 50  # what the plan allows, with room for whatever else uses the key


class WireTrade(msgspec.Struct):
    """n: number; s: symbol; t: RFC 3339 time; p: price; q: shares. Decimals are read as written, never as floats."""

    n: int
    s: str
    t: str
    p: Decimal
    q: Decimal


class Page(msgspec.Struct):
    trades: list[msgspec.Raw]
    last: int


def ticks_client(
    credentials: Credentials,
    *,
    now_ns: Callable[[], int],
    wait: Callable[[float], None],
    jitter: random.Random,
    observer: CallObserver,
    http: HttpClient | None = None,
) -> ApiClient:
    """Return a client, which retries, keeps to the budget, and hides the key in every error."""
    http = http or ReusedConnection(BASE_URL, now_ns)
    bucket = TokenBucket(BURST_CALLS, REFILL_PER_MINUTE, now_ns, wait)
    headers = {"Authorization": f"Bearer {credentials.key}"}
    return ApiClient(
        FEED, http, credentials, headers, bucket, now_ns=now_ns, wait=wait, jitter=jitter, observer=observer
    )


class TicksProvider:
    """Poller of all trades of `symbols`. The checkpoint is the number of the last trade that was handed over."""

    def __init__(self, client: ApiClient, symbols: Sequence[str], now_ns: Callable[[], int]) -> None:
        self._client, self._symbols, self._now_ns = client, symbols, now_ns

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield page after page until there is nothing new, or no time left; raises what `ApiClient.get` raises."""
        after = int(checkpoint or 0)
        while True:
            query = urlencode({"symbols": ",".join(self._symbols), "after": after})
            try:
                page = self._client.get(f"/v1/trades?{query}", deadline_ns, _page)
            except NoTimeLeftError:
                return
            if page.last <= after:
                return
            after = page.last
            yield self._capture(page.trades, str(after))

    def _capture(self, pieces: Sequence[msgspec.Raw], checkpoint: str) -> Capture:
        """Return the trades; one that can't be read is handed over as it came, and the others count."""
        trades: list[Trade] = []
        bad: list[UnreadablePayload] = []
        for piece in pieces:
            try:
                trades.append(self._trade(read_piece(piece, WireTrade)))
            except InvalidTradeError as error:
                bad.append(unreadable(error, bytes(piece), self._client.credentials))
        return Capture(tuple(trades), tuple(bad), checkpoint)

    def _trade(self, wire: WireTrade) -> Trade:
        """Return a checked trade, whose id is the same whenever it is read; raises `InvalidTradeError`."""
        try:
            event_time_ns = parse_rfc3339_ns(wire.t)
        except ValueError as error:
            raise InvalidTradeError(Reason.VALUE, str(error)) from None
        trade = Trade(
            event_id=f"{FEED}:{wire.s}:{wire.n}",
            feed=FEED,
            capture_mode="trade",
            symbol=wire.s,
            event_time_ns=event_time_ns,
            sequence=wire.n,
            price=wire.p,
            volume=exact_shares(wire.q),
            exchange="",
            conditions="",
            tape="",
            status="good",
            version=0,
            ingest_time_ns=self._now_ns(),
        )
        check_trade(trade)
        return trade


def _page(body: bytes) -> Page:
    try:
        return msgspec.json.decode(body, type=Page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"without trades: {error}") from None
