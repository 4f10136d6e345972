"""The realtime state of a symbol: its newest trades, and the figures that follow from them.

State is a join (a semilattice): `merge` is associative, commutative and idempotent. So retried, reordered, late,
repeated and redriven trades converge to the same window. Figures are computed from it, never updated.

A bounded window may forget rows and still converge. Rows are in the order of (event_time_ns, sequence, event_id). A row
leaves only when `capacity` rows of other ids are greater. The row of an id only moves up, because `trade.PRECEDENCE`
compares time and sequence first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import chain
from operator import attrgetter

from stock_pipeline.domain.conditions import is_paid
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.trade import EFFECTIVE_STATUSES, PRICE_UNIT, OrderKey, Trade, precedence

CANCELLATION_RESERVE = 10
"""Rows beyond the longest average, so that this many void rows or official prints don't shorten it. A provider may make
two of one trade; more rows would make the items larger, and their writes are most of the bill.
"""

_in_order = attrgetter(*OrderKey._fields)
"""`trade.order_key` as a plain tuple, which sorts windows in a quarter of the time."""


def window_capacity(average_windows: tuple[int, ...]) -> int:
    return max(average_windows) + CANCELLATION_RESERVE


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """Simple moving average (SMA) of the prices of the newest `window` trades.

    trade_count: less than `window` while the symbol has fewer trades.
    """

    window: int
    price: Decimal
    trade_count: int


def merge(window: Iterable[Trade], arrived: Iterable[Trade], capacity: int) -> tuple[Trade, ...]:
    """Return the newest `capacity` trades of both, oldest first, the winning row of each `event_id`.

    All trades are of one symbol and feed. Cancelled rows keep their place, in case the original arrives again.
    """
    winning: dict[str, Trade] = {}
    for trade in chain(window, arrived):
        other = winning.setdefault(trade.event_id, trade)
        # most repeats are redeliveries, which a comparison of equals tells sooner than two keys
        if other is not trade and other != trade and precedence(trade) > precedence(other):
            winning[trade.event_id] = trade
    return tuple(sorted(winning.values(), key=_in_order)[-capacity:])


def paid_trades(window: Iterable[Trade]) -> list[Trade]:
    """Return the executions that count, in the window's order: no void trade, official print, or print of no shares."""
    return [
        trade
        for trade in window
        if trade.status in EFFECTIVE_STATUSES and trade.volume != 0 and is_paid(trade.conditions, trade.tape)
    ]


def moving_averages(window: Iterable[Trade], average_windows: tuple[int, ...]) -> list[MovingAverage]:
    """Return one average per length, rounded half to even at 6 places; empty without paid trades.

    Averages are of the newest trade's session, because a split takes effect between two: prices of both would have no
    common unit.
    """
    prices = [trade.price for trade in _of_one_session(paid_trades(window))]
    averages = []
    for length in average_windows:
        newest = prices[-length:]
        if newest:
            mean = sum(newest, Decimal(0)) / len(newest)
            averages.append(MovingAverage(length, mean.quantize(PRICE_UNIT, ROUND_HALF_EVEN), len(newest)))
    return averages


def _of_one_session(trades: list[Trade]) -> list[Trade]:
    """Return the trades of the last one's session."""
    if not trades:
        return trades
    session_date = _session_of(trades[-1])
    if _session_of(trades[0]) == session_date:
        return trades
    return [trade for trade in trades if _session_of(trade) == session_date]


def _session_of(trade: Trade) -> date:
    return feed_session_date(trade.event_time_ns, trade.feed)
