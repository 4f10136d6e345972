"""A past session from Alpaca: its trades page by page, and its daily bars.

https://docs.alpaca.markets/reference/stocktrades-1 and stockbars. `asof` is the session's date, because a symbol may be
another company's by now. Keeping belongs to `lake.session_history`.
"""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.vendor_bars import VendorBar
from stock_pipeline.providers.alpaca.pages import CapturePosition, TradePages
from stock_pipeline.providers.client.api_client import ApiClient
from stock_pipeline.providers.client.http import UnexpectedAnswerError

BURST_CALLS = 10
CALLS_PER_MINUTE = 90
"""With the burst, half of the Basic plan's 200 calls a minute: the producer, under the same key, needs the rest."""

PAGE_SECONDS = 300
"""For one page with its tries, the longest pause that the API may ask for included."""


class AlpacaSession:
    """Reader of one session of some symbols on one feed."""

    def __init__(
        self, client: ApiClient, symbols: Sequence[str], feed: str, session_date: date, now_ns: Callable[[], int]
    ) -> None:
        self._client = client
        self._pages = TradePages(client, symbols, feed, now_ns, asof=session_date)
        self._session_date = session_date
        self._now_ns = now_ns

    @property
    def query(self) -> str:
        """A hash of what page tokens belong to."""
        return self._pages.query

    def trades(self, start_ns: int, end_ns: int, page_token: str | None) -> tuple[Capture, str | None]:
        """Return a page, and the token of the next one; None after the last. Raises what `ApiClient.get` raises."""
        position = CapturePosition(start_ns, end_ns, page_token, self._pages.query)
        page, after = self._pages.read(position, self._deadline_ns())
        return page, after.page_token

    def bars(self) -> list[VendorBar]:
        """Return the session's daily bars, as traded, of the symbols that have one."""
        day = self._session_date.isoformat()
        parameters = {
            "symbols": self._pages.symbols,
            "timeframe": "1Day",
            "start": day,
            "end": day,
            "limit": "10000",
            "adjustment": "raw",
            "feed": self._pages.feed,
            "asof": day,
            "sort": "asc",
        }
        bars: list[VendorBar] = []
        while True:
            page = self._client.get("/v2/stocks/bars?" + urlencode(parameters), self._deadline_ns(), _read_bars)
            for symbol, of_symbol in (page.bars or {}).items():
                # a bar is labelled by midnight in New York
                bars += [_bar(symbol, bar) for bar in of_symbol if bar.t.startswith(day)]
            token = page.next_page_token
            if not token:
                return bars
            if token == parameters.get("page_token"):
                raise UnexpectedAnswerError("alpaca names the same next page twice: its pages would never end")
            parameters["page_token"] = token

    def _deadline_ns(self) -> int:
        return self._now_ns() + PAGE_SECONDS * 10**9


class _Bar(msgspec.Struct):
    t: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    c: Decimal
    v: Decimal


class _Page(msgspec.Struct):
    bars: dict[str, list[_Bar]] | None
    next_page_token: str | None = None


def _read_bars(body: bytes) -> _Page:
    try:
        return msgspec.json.decode(body, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"without a page of bars: {error}") from None


def _bar(symbol: str, bar: _Bar) -> VendorBar:
    return VendorBar(symbol, bar.o, bar.h, bar.l, bar.c, bar.v)
