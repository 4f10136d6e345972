"""Pages of Alpaca's `/v2/stocks/trades`: a window of time, read page by page, resumable between any two.

Which windows are read, and when, belongs to `rest` (polls) and `gap` (the stream's gaps).
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import date
from urllib.parse import urlencode

import msgspec

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import FEED, SYMBOL, Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.alpaca.trade import read_rows
from stock_pipeline.providers.client.api_client import ApiClient
from stock_pipeline.providers.client.http import ProviderPermanentError, RequestRefusedError, UnexpectedAnswerError
from stock_pipeline.providers.payload import unreadable
from stock_pipeline.providers.timestamps import format_rfc3339_ns

PAGE_LIMIT = 10_000
"""Most trades of one page, counted over all its symbols."""


class CheckpointError(ProviderPermanentError):
    """The checkpoint is another provider's. Going on from now would lose trades, so an operator must decide."""

    kind = "checkpoint"


class CapturePosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Checkpoint: the window `start_ns <= t <= end_ns`, and its next page; None once it is complete.

    A time alone can't say how far a window was read, because Alpaca pages by symbol first.

    query: hash of the feed and symbols that the page token belongs to
    looked_back_ns: end of the last window that began an overlap early, for late prints; None before the first one
    """

    start_ns: int
    end_ns: int
    page_token: str | None
    query: str
    looked_back_ns: int | None = None


class TradePage(msgspec.Struct):
    """Page of `/v2/stocks/trades`, its trades still unread."""

    trades: dict[str, msgspec.Raw] | None
    next_page_token: str | None = None


class TradePages:
    """Reader of the pages of some symbols on one feed. Keeps nothing between two pages."""

    def __init__(
        self,
        client: ApiClient,
        symbols: Sequence[str],
        feed: str,
        now_ns: Callable[[], int],
        asof: date | None = None,
    ) -> None:
        """Prepare reading; raises `RequestRefusedError` for unusable symbols or an unusable feed.

        asof: whose symbols they are, those of this day; by default today's
        """
        for symbol in symbols:
            if SYMBOL.fullmatch(symbol) is None or "," in symbol:
                raise RequestRefusedError(f"{symbol[:40]!r} is not a ticker symbol: correct or remove it")
        if not symbols or FEED.fullmatch(feed) is None:
            raise RequestRefusedError("Alpaca needs at least one symbol, and a feed such as iex or sip")
        self.client = client
        self.symbols = ",".join(sorted(set(symbols)))
        self.feed = feed
        self._asof = {} if asof is None else {"asof": asof.isoformat()}
        selection = ":".join([feed, self.symbols, *self._asof.values()])
        self.query = hashlib.sha256(selection.encode()).hexdigest()[:16]
        self._now_ns = now_ns

    def window(self, start_ns: int, end_ns: int) -> CapturePosition:
        """Return the position before the first page of a window."""
        return CapturePosition(max(start_ns, 0), end_ns, None, self.query)

    def resumed(self, position: CapturePosition) -> CapturePosition:
        """Return the position; at its first page if its token is another selection's."""
        if position.query == self.query:
            return position
        return msgspec.structs.replace(position, page_token=None, query=self.query)

    def read(self, position: CapturePosition, deadline_ns: int) -> tuple[Capture, CapturePosition]:
        """Return the page at `position`, and the position after it. Raises what `ApiClient.get` raises."""
        parameters = {
            "symbols": self.symbols,
            "start": format_rfc3339_ns(position.start_ns),
            "end": format_rfc3339_ns(position.end_ns),
            "limit": str(PAGE_LIMIT),
            "feed": self.feed,
            "sort": "asc",
            **self._asof,
        }
        if position.page_token is not None:
            parameters["page_token"] = position.page_token
        page = self.client.get("/v2/stocks/trades?" + urlencode(parameters), deadline_ns, read_page)
        return self._content(page), self._after(position, page)

    def _after(self, position: CapturePosition, page: TradePage) -> CapturePosition:
        token = page.next_page_token or None
        if token is not None and token == position.page_token:
            raise UnexpectedAnswerError("alpaca names the same next page twice: its pages would never end")
        return msgspec.structs.replace(position, page_token=token)

    def _content(self, page: TradePage) -> Capture:
        ingest_time_ns = self._now_ns()
        trades: list[Trade] = []
        bad: list[UnreadablePayload] = []
        for symbol, raw in (page.trades or {}).items():
            try:
                pieces = msgspec.json.decode(raw, type=list[msgspec.Raw] | None) or []
            except msgspec.DecodeError as error:
                problem = InvalidTradeError(Reason.SCHEMA, f"trades of a symbol are not a list: {error}")
                bad.append(unreadable(problem, bytes(raw), self.client.credentials))
                continue
            for piece in pieces:
                self.read_into(trades, bad, symbol, bytes(piece), ingest_time_ns)
        return Capture(tuple(trades), tuple(bad))

    def read_into(
        self, trades: list[Trade], bad: list[UnreadablePayload], symbol: str, piece: bytes, ingest_time_ns: int
    ) -> None:
        """Append the rows of one JSON object, or the object with its reason."""
        try:
            trades.extend(read_rows(piece, symbol, self.feed, ingest_time_ns))
        except InvalidTradeError as error:
            bad.append(unreadable(error, piece, self.client.credentials))


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
