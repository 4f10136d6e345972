"""State as a loop over records keeps it: a bounded deque a symbol, appended to in the order of arrival.

It is cheaper than the pipeline's merge, and right only for trades that come in order and once, as the timed ones do.
"""

from collections import deque
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from bench.processor.batches import AVERAGE_WINDOWS, Windows
from bench.processor.outcome import SymbolView
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Shares

_UNIT = Decimal("0.000001")


class _Print(NamedTuple):
    event_id: str
    price: Decimal
    volume: Shares
    event_time_ns: int


class RowByRowState:
    """The windows of all symbols. `add` each trade, then take the `views` of those that changed."""

    def __init__(self, windows: Windows) -> None:
        capacity = window_capacity(AVERAGE_WINDOWS)
        self._windows: dict[tuple[str, str], deque[_Print]] = {}
        self._capacity = capacity
        self._touched: set[tuple[str, str]] = set()
        for key, window in windows.items():
            prints = [_Print(t.event_id, t.price, t.volume or 0, t.event_time_ns) for t in window]
            self._windows[key.symbol, key.feed] = deque(prints, capacity)

    def add(self, symbol: str, feed: str, event_id: str, price: Decimal, volume: Shares, event_time_ns: int) -> None:
        key = (symbol, feed)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = deque(maxlen=self._capacity)
        window.append(_Print(event_id, price, volume, event_time_ns))
        self._touched.add(key)

    def shown(self) -> dict[tuple[str, str], tuple[_Print, tuple[Decimal, ...]]]:
        """Return the latest trade and averages of every symbol that the batch touched: part of the timed work."""
        return {key: (self._windows[key][-1], _averages(self._windows[key])) for key in self._touched}

    def views(self, shown: dict[tuple[str, str], Any]) -> dict[SymbolKey, SymbolView]:
        """Return views to compare, outside the timed work."""
        return {
            SymbolKey(*key): SymbolView(
                tuple((row.event_id, row.price) for row in self._windows[key]),
                latest.price,
                latest.volume,
                latest.event_time_ns,
                averages,
            )
            for key, (latest, averages) in shown.items()
        }


def _averages(window: deque[_Print]) -> tuple[Decimal, ...]:
    prices = [row.price for row in window]
    averages = []
    for length in AVERAGE_WINDOWS:
        newest = prices[-length:]
        averages.append((sum(newest, Decimal(0)) / len(newest)).quantize(_UNIT, ROUND_HALF_EVEN))
    return tuple(averages)
