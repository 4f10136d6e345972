"""A past session's trades from a provider into the raw zone, page by page, without the stream.

Each page is a raw file, and then the place of the next page is kept: a run that dies goes on there. The ids are those
that the producer gives, so what is there already collapses in compaction, and what was missed is healed.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.feed_session import feed_end_ns, rule_session_bounds_ns, session_rule
from stock_pipeline.domain.lake_layout import HISTORY, history_key, raw_key, reopened_key, vendor_bars_key
from stock_pipeline.domain.trade import LAKE_ORDER
from stock_pipeline.domain.vendor_bars import VendorBar
from stock_pipeline.errors import PermanentError
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.trade_table import table_of_trades


class SessionTrades(Protocol):
    """A provider's trades of one session. query: a hash of feed and symbols, to which page tokens belong."""

    @property
    def query(self) -> str: ...

    def trades(self, start_ns: int, end_ns: int, page_token: str | None) -> tuple[Capture, str | None]: ...


@dataclass
class HistoryProgress:
    """How far a session has been read, up to `end_ns`, and what of it.

    page_token: the next page's; None before the first and after the last.
    resumed_at: pages that an earlier run had read.
    """

    query: str
    end_ns: int
    page_token: str | None = None
    pages: int = 0
    trades: int = 0
    unreadable: int = 0
    symbols: dict[str, int] = field(default_factory=dict)
    resumed_at: int = 0

    def add(self, page: Capture, page_token: str | None) -> None:
        self.page_token = page_token
        self.pages += 1
        self.trades += len(page.trades)
        self.unreadable += len(page.unreadable)
        for trade in page.trades:
            self.symbols[trade.symbol] = self.symbols.get(trade.symbol, 0) + 1


@dataclass(frozen=True)
class SessionHistory:
    """Reader of one session of a feed into the lake.

    encode: a table of `trade_schema` as Parquet.
    set_aside: keeps pieces that are no trades.
    """

    lake: Lake
    session_date: date
    feed: str
    encode: Callable[[pa.Table], bytes]
    set_aside: Callable[[tuple[UnreadablePayload, ...]], None]

    def read(self, source: SessionTrades, now_ns: int, on_page: Callable[[HistoryProgress], None]) -> HistoryProgress:
        """Read the session to its end, from where an earlier run died, and let compaction look at it again.

        now_ns: until when the provider has trades. Raises what `source` raises, after the pages before are safe, and
        `PermanentError` for a session that is not over.
        """
        start_ns, next_ns = rule_session_bounds_ns(self.session_date, session_rule(self.feed))
        if now_ns < feed_end_ns(self.session_date, self.feed):
            raise PermanentError(
                f"session {self.session_date} is not over yet: materialize it when its extended hours have ended"
            )
        progress = self._begun(source.query) or HistoryProgress(source.query, min(next_ns - 1, now_ns))
        progress.resumed_at = progress.pages
        is_resumed = progress.page_token is not None
        self.lake.put(reopened_key(self.session_date), b"")
        while True:
            try:
                page, token = source.trades(start_ns, progress.end_ns, progress.page_token)
            except PermanentError:
                if not is_resumed:
                    raise
                # the page token may have expired; pages that are read again make the same files
                is_resumed, progress = False, HistoryProgress(source.query, min(next_ns - 1, now_ns))
                continue
            is_resumed = False
            if page.unreadable:
                self.set_aside(page.unreadable)
            self._put(page, progress.pages)
            progress.add(page, token)
            self.lake.put(history_key(self.session_date, self.feed), msgspec.json.encode(progress))
            on_page(progress)
            if token is None:
                break
        # again, because the time of the last of the two is after the last file
        self.lake.put(reopened_key(self.session_date), b"")
        return progress

    def keep_bars(self, bars: list[VendorBar], asked: list[str]) -> None:
        """Keep the vendor's bars for the check of ours. asked: symbols, also those without a bar."""
        body = msgspec.json.encode(KeptBars(asked, bars))
        self.lake.put(vendor_bars_key(self.session_date, self.feed), body)

    def _begun(self, query: str) -> HistoryProgress | None:
        """Return what an earlier run has begun and not ended, if it asked the same."""
        found = self.lake.read(history_key(self.session_date, self.feed))
        if found is None:
            return None
        try:
            progress = msgspec.json.decode(found[0], type=HistoryProgress)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # torn: the session is read from its beginning
        is_whole = progress.end_ns >= feed_end_ns(self.session_date, self.feed)
        return progress if progress.query == query and progress.page_token and is_whole else None

    def _put(self, page: Capture, number: int) -> None:
        if not page.trades:
            return
        trades = table_of_trades(page.trades).sort_by([(name, "ascending") for name in LAKE_ORDER])
        for session_date in sorted(pc.unique(trades["session_date"]).to_pylist()):
            rows = trades.filter(pc.equal(trades["session_date"], pa.scalar(session_date)))
            key = raw_key(session_date, HISTORY, str(number), str(number), _content_hash(rows))
            self.lake.put_if_absent(key, self.encode(rows))
            if session_date != self.session_date:
                self.lake.put(reopened_key(session_date), b"")


class KeptBars(msgspec.Struct):
    """A vendor's bars of one session. asked: the symbols that they were asked of."""

    asked: list[str]
    bars: list[VendorBar]


def kept_bars(lake: Lake, session_date: date, feed: str) -> KeptBars | None:
    """Return the vendor's bars; None if nobody has fetched them. Raises `PermanentError` for a torn file."""
    key = vendor_bars_key(session_date, feed)
    found = lake.read(key)
    if found is None:
        return None
    try:
        return msgspec.json.decode(found[0], type=KeptBars)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PermanentError(
            f"{key} can't be read ({error}): materialize history of {session_date} again, which writes it anew"
        ) from error


def _content_hash(rows: pa.Table) -> str:
    """Return the hash of the rows without the time of their arrival, so that a page read again is the same file."""
    content = rows.drop_columns(["ingest_time"])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, content.schema) as writer:
        writer.write_table(content.combine_chunks())
    return hashlib.sha256(sink.getbuffer()).hexdigest()[:16]
