"""Compares stream, raw files, published rows and realtime state of a session, symbol by symbol.

Reading the figures belongs to `lake` and `aws`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade, order_key


@dataclass(frozen=True, slots=True)
class RawCounts:
    """One symbol's share of the raw files.

    delivered: rows, as often as the stream delivered them.
    trades: event ids.
    trades_of_stream: event ids in files whose records no other file has. If a batch was tried again in parts, the whole
    and the parts must have the same trades.
    """

    delivered: int = 0
    trades: int = 0
    trades_of_stream: int = 0


@dataclass(frozen=True, slots=True)
class CuratedCounts:
    """One symbol's share of the published version.

    newest: its newest rows, oldest first.
    """

    rows: int = 0
    newest: tuple[Trade, ...] = ()


@dataclass(frozen=True)
class SessionBooks:
    """What each place has of one session.

    raw: None once garbage collection has deleted raw files of the published version. While a session is under way,
    only files that the version has.
    under_way: event ids in other files, whose rows are not published yet.
    windows: each symbol's realtime window, of `capacity` trades at most.
    expired: whether trades may be missing in the table, because their time to live is over.
    """

    session_date: date
    raw: Mapping[SymbolKey, RawCounts] | None
    curated: Mapping[SymbolKey, CuratedCounts]
    windows: Mapping[SymbolKey, Sequence[Trade]]
    capacity: int
    expired: bool = False
    under_way: frozenset[str] = frozenset()

    @property
    def symbols(self) -> list[SymbolKey]:
        """Every symbol that a place has in this session."""
        of_session = {key for key, window in self.windows.items() if _of_session(window, self.session_date)}
        return sorted({*(self.raw or ()), *self.curated, *of_session})


class Disagreement(NamedTuple):
    key: SymbolKey
    reason: str


def disagreements(books: SessionBooks) -> list[Disagreement]:
    """Return every symbol on which two places differ, with the reason."""
    return [Disagreement(key, reason) for key in books.symbols for reason in _reasons(books, key)]


def _reasons(books: SessionBooks, key: SymbolKey) -> Iterator[str]:
    curated = books.curated.get(key, CuratedCounts())
    if books.raw is not None:
        raw = books.raw.get(key, RawCounts())
        if raw.trades_of_stream != raw.trades:
            yield f"{raw.trades_of_stream:,} trades by the stream's records, {raw.trades:,} in all raw files"
        if raw.trades != curated.rows:
            yield f"{raw.trades:,} trades in raw files, {curated.rows:,} published"
    yield from _state_reasons(books, key, curated)


def _state_reasons(books: SessionBooks, key: SymbolKey, curated: CuratedCounts) -> Iterator[str]:
    # what only one of both places can have yet is left out of both
    window = [trade for trade in books.windows.get(key, ()) if trade.event_id not in books.under_way]
    newest = [trade for trade in curated.newest if trade.event_id not in books.under_way]
    in_state = _of_session(window, books.session_date)
    later = sum(feed_session_date(trade.event_time_ns, trade.feed) > books.session_date for trade in window)
    room = books.capacity - later - (len(books.windows.get(key, ())) - len(window))
    published = newest[-room:] if room > 0 else []
    if published and not in_state:
        if not books.expired:
            yield f"{published[-1].event_id} is published, and nothing of the session is in the realtime table"
        return
    if books.expired:
        # what came later than the table remembers entered the lake only
        held = {trade.event_id for trade in in_state}
        published = [trade for trade in published if trade.event_id in held]
        in_state = in_state[len(in_state) - len(published) :]
    # a window that was enlarged is still filling up: it may have fewer trades, but no others
    compared = published[len(published) - min(len(in_state), len(published)) :]
    if list(map(_plain, in_state)) != list(map(_plain, compared)):
        latest = published[-1].event_id if published else "nothing"
        yield f"the newest trades differ: {in_state[-1].event_id} in the realtime table, {latest} published"


def _of_session(window: Sequence[Trade], session_date: date) -> tuple[Trade, ...]:
    return tuple(
        trade
        for trade in sorted(window, key=order_key)
        if feed_session_date(trade.event_time_ns, trade.feed) == session_date
    )


def _plain(trade: Trade) -> Trade:
    # ingest time differs between redeliveries
    return replace(trade, ingest_time_ns=0)
