"""What a provider hands over: trades, unreadable payloads, and its checkpoint; and until when it does."""

from dataclasses import dataclass
from datetime import date

from stock_pipeline.domain.feed_session import feed_end_ns
from stock_pipeline.domain.session import NANOSECONDS
from stock_pipeline.domain.trade import Trade

ORPHAN = "orphan"
"""Reason of a cancel or correction whose original nobody knows."""

OVERLAP_SECONDS = 300
"""A capture is read again from so long before it, for late prints and corrections."""

LONGEST_LOOK_BACK_SECONDS = 300
"""The overlap is read again so often at least."""


def capture_end_ns(session_date: date, delay_seconds: int, feed: str = "") -> int:
    """Return when the last trades of a session are captured: the feed's delay and the last look back after them."""
    lag_seconds = delay_seconds + OVERLAP_SECONDS + LONGEST_LOOK_BACK_SECONDS
    return feed_end_ns(session_date, feed) + lag_seconds * NANOSECONDS


@dataclass(frozen=True, slots=True)
class UnreadablePayload:
    """A piece of a provider's answer that is not a trade; `payload` is its bytes.

    reason: a `Reason`, or `ORPHAN`
    """

    reason: str
    detail: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """One page of a provider.

    checkpoint: where to go on once these trades are in the stream, readable by the provider only; None changes nothing.
    """

    trades: tuple[Trade, ...]
    unreadable: tuple[UnreadablePayload, ...] = ()
    checkpoint: str | None = None
