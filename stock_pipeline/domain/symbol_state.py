"""`SymbolState`: the realtime table's item of one symbol and feed."""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from stock_pipeline.domain.conditions import is_last_eligible
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.moving_average import (
    MovingAverage,
    merge,
    moving_averages,
    paid_trades,
    window_capacity,
)
from stock_pipeline.domain.trade import ABSENT_VOLUME, Trade, order_key, price_units, share_columns


def revision_of(numbers: bytes, texts: Iterable[str]) -> str:
    """Return the revision of rows.

    numbers: six columns of 64 bits, little-endian: event time, sequence, version, price in millionths of a dollar,
    whole shares and millionths of one.
    texts: event ids, then what else tells rows apart. None has a line break.
    """
    return hashlib.sha256(numbers + "\n".join(texts).encode()).hexdigest()[:32]


class SymbolKey(NamedTuple):
    """Feeds never share an item, because a number that mixes them means nothing."""

    symbol: str
    feed: str


ELIGIBLE_CAPACITY = 4
"""Rows kept for the last eligible price, so that three void ones don't lose it."""


def may_be_last(trade: Trade) -> bool:
    """Tell if a row bears on the last eligible price: it may be it, or it may have made another version void.

    It is of the row alone. So rows converge among themselves, as those of a window do (`moving_average`).
    """
    return trade.version > 0 or (trade.volume != 0 and is_last_eligible(trade.conditions, trade.tape))


@dataclass(frozen=True, slots=True)
class SymbolState:
    """The newest trades of a symbol, oldest first. All else follows from them.

    older: the newest rows that bear on the last eligible price, as far as the window does not have them. After hours
    and in odd lots, a window may have none.
    """

    key: SymbolKey
    window: tuple[Trade, ...]
    older: tuple[Trade, ...] = ()

    @property
    def rows(self) -> tuple[Trade, ...]:
        return (*self.older, *self.window)

    @property
    def latest(self) -> Trade | None:
        """The newest execution, or None if every one was cancelled."""
        paid = paid_trades(self.window)
        return paid[-1] if paid else None

    @property
    def last_eligible(self) -> Trade | None:
        """The newest execution that the tape takes for its last price, or None if it is not known."""
        eligible = (trade for trade in paid_trades(self.rows) if is_last_eligible(trade.conditions, trade.tape))
        return max(eligible, key=order_key, default=None)

    @property
    def session_date(self) -> date | None:
        return feed_session_date(self.latest.event_time_ns, self.key.feed) if self.latest else None

    @property
    def revision(self) -> str:
        """A hash of the rows. Writes are conditional on it, because equal content is equal state after any number of
        writes.
        """
        rows = self.rows
        shares = [share_columns(row.volume) for row in rows]
        columns = [
            [row.event_time_ns for row in rows],
            [row.sequence for row in rows],
            [row.version for row in rows],
            [price_units(row.price) for row in rows],
            [ABSENT_VOLUME if whole is None else whole for whole, _ in shares],
            [fraction for _, fraction in shares],
        ]
        kinds = (" ".join((row.status, row.exchange, row.conditions, row.tape, row.capture_mode)) for row in rows)
        return revision_of(
            b"".join(struct.pack(f"<{len(rows)}q", *column) for column in columns),
            [*(row.event_id for row in rows), *kinds],
        )

    def averages(self, average_windows: tuple[int, ...]) -> list[MovingAverage]:
        return moving_averages(self.window, average_windows)

    def merged_with(self, arrived: Iterable[Trade], average_windows: tuple[int, ...]) -> "SymbolState":
        """Return the state after these trades, in any order and however often they arrive.

        Their ingest time must be 0, because redeliveries differ in it and equal sets of trades must be equal states.
        """
        arrived = tuple(arrived)
        window = merge(self.window, arrived, window_capacity(average_windows))
        eligible = merge(filter(may_be_last, self.rows), filter(may_be_last, arrived), ELIGIBLE_CAPACITY)
        in_window = {trade.event_id: trade for trade in window}
        older = (trade for trade in eligible if in_window.get(trade.event_id) != trade)
        return SymbolState(self.key, window, tuple(older))


@dataclass(frozen=True, slots=True)
class StoredState:
    """A state with the revision that it was stored under.

    The next write names the stored revision, because another release may have computed it.
    """

    state: SymbolState
    revision: str
