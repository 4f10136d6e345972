"""`SymbolState`: the realtime table's item of one symbol and feed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.moving_average import (
    MovingAverage,
    effective_trades,
    merge,
    moving_averages,
    window_capacity,
)
from stock_pipeline.domain.trade import Trade, order_key


class SymbolKey(NamedTuple):
    """Feeds never share an item, because a number that mixes them means nothing."""

    symbol: str
    feed: str


@dataclass(frozen=True, slots=True)
class SymbolState:
    """The newest trades of a symbol, oldest first. All else follows from them."""

    key: SymbolKey
    window: tuple[Trade, ...]

    @property
    def latest(self) -> Trade | None:
        """The newest effective trade, or None if every one was cancelled."""
        effective = effective_trades(self.window)
        return effective[-1] if effective else None

    @property
    def session_date(self) -> date | None:
        return feed_session_date(self.latest.event_time_ns, self.key.feed) if self.latest else None

    @property
    def revision(self) -> str:
        """A hash of the window. Writes are conditional on it, because equal content is equal state after any number of
        writes.
        """
        rows = [
            (
                *order_key(trade),
                trade.version,
                trade.status,
                f"{trade.price.normalize():f}",
                trade.volume,
                trade.exchange,
                trade.conditions,
                trade.tape,
                trade.capture_mode,
            )
            for trade in self.window
        ]
        return hashlib.sha256(repr(rows).encode()).hexdigest()[:32]

    def averages(self, average_windows: tuple[int, ...]) -> list[MovingAverage]:
        return moving_averages(self.window, average_windows)

    def merged_with(self, arrived: Iterable[Trade], average_windows: tuple[int, ...]) -> "SymbolState":
        """Return the state after these trades, in any order and however often they arrive.

        Their ingest time must be 0, because redeliveries differ in it and equal sets of trades must be equal states.
        """
        return SymbolState(self.key, merge(self.window, arrived, window_capacity(average_windows)))


@dataclass(frozen=True, slots=True)
class StoredState:
    """A state with the revision that it was stored under.

    The next write names the stored revision, because another release may have computed it.
    """

    state: SymbolState
    revision: str
