"""The original of a cancel or correction that the stream's memory has lost, looked up by REST.

Read are the message's session, backwards in growing steps, and the trading day before it.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.feed_session import (
    LONGEST_BREAK,
    feed_session_date,
    is_feed_session,
    rule_session_bounds_ns,
    session_rule,
)
from stock_pipeline.domain.trade import Trade, provider_event_id
from stock_pipeline.providers.alpaca.message import Amendment
from stock_pipeline.providers.alpaca.pages import CapturePosition, TradePages
from stock_pipeline.providers.alpaca.trade import AS_REPORTED

NANOSECONDS = 10**9
STEPS_NS = (600 * NANOSECONDS, 3600 * NANOSECONDS)
"""Most amendments come within minutes, and a session of a busy symbol has a hundred pages."""

ReadPage = Callable[[TradePages, CapturePosition], Awaitable[tuple[Capture, CapturePosition]]]


@dataclass(frozen=True)
class OriginalFinder:
    """Finder of originals. read: a page, however often it must be tried"""

    pages_of: Callable[[Sequence[str]], TradePages]
    read: ReadPage

    async def find(self, amendment: Amendment) -> Trade | None:
        """Return the trade as it was reported, or None."""
        pages = self.pages_of([amendment.said.symbol])
        namesake: Trade | None = None
        for start_ns, end_ns in windows_before(amendment.said.event_time_ns, amendment.said.feed):
            place: CapturePosition | None = pages.window(start_ns, end_ns)
            while place is not None:
                capture, after = await self.read(pages, place)
                for row in capture.trades:
                    found = _as_reported(row, amendment)
                    if found is not None and _same_content(found, amendment.said):
                        return found
                    namesake = namesake or found
                place = None if after.page_token is None else after
            if namesake is not None:
                return namesake
        return None


def windows_before(time_ns: int, feed: str) -> Iterator[tuple[int, int]]:
    """Yield the windows to look through, the nearest first."""
    rule = session_rule(feed)
    session_date = feed_session_date(time_ns, feed)
    begin_ns, _ = rule_session_bounds_ns(session_date, rule)
    end_ns = time_ns
    for start_ns in (*(time_ns - step for step in STEPS_NS), begin_ns):
        if begin_ns <= start_ns < end_ns:
            yield start_ns, end_ns
            end_ns = start_ns
    for days in range(1, LONGEST_BREAK):
        day = session_date - timedelta(days=days)
        if is_feed_session(day, feed):
            start_ns, next_ns = rule_session_bounds_ns(day, rule)
            yield start_ns, next_ns - 1
            return


def _as_reported(row: Trade, amendment: Amendment) -> Trade | None:
    """Return the trade of a row, if it has the original's number, whatever its status is by now."""
    event_id = provider_event_id(
        row.feed, row.symbol, feed_session_date(row.event_time_ns, row.feed), amendment.said.exchange, amendment.number
    )
    if row.event_id != event_id and not row.event_id.startswith(f"{event_id}:"):
        return None
    return replace(row, event_id=event_id, status=AS_REPORTED.status, version=AS_REPORTED.version)


def _same_content(one: Trade, other: Trade) -> bool:
    return (one.price, one.volume) == (other.price, other.volume)
