"""Bars of earlier sessions, from the models that dbt built, and corporate actions. Answers are kept for a while."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.serving.shapes import Bar

KEPT_ANSWERS = 512
PREVIOUS_DAYS = 10
"""Calendar days in which the previous session is looked for."""

_FIGURES = "open, high, low, close, volume, vwap, trade_count"

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a statement on the models and returns its rows. Raises `StockPipelineError`."""


@dataclass
class History:
    """seconds: how long an answer is kept; on Athena each costs a query."""

    ask: Ask
    now: Callable[[], float]
    seconds: float
    _answers: OrderedDict[str, tuple[float, Sequence[Sequence[Any]]]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def daily_bars(self, key: SymbolKey, first: date, last: date) -> list[Bar]:
        rows = self._rows(f"SELECT session_date, {_FIGURES} FROM daily_bars WHERE {_of(key, first, last)} ORDER BY 1")
        return [_bar(str(session_date), *figures) for session_date, *figures in rows]

    def minute_bars(self, key: SymbolKey, first: date, last: date) -> list[Bar]:
        rows = self._rows(
            f"SELECT minute_start, {_FIGURES}, session_part FROM minute_bars WHERE {_of(key, first, last)} "
            "ORDER BY 1, session_part"
        )
        return [_bar(f"{start:%Y-%m-%dT%H:%M:%SZ}", *figures) for start, *figures in rows]

    def previous_closes(self, session_date: date) -> dict[SymbolKey, Decimal]:
        """Return each symbol's last close before the session."""
        first, last = session_date - timedelta(days=PREVIOUS_DAYS), session_date - timedelta(days=1)
        rows = self._rows(
            f"SELECT symbol, feed, close FROM daily_bars WHERE {_within(first, last)} AND close IS NOT NULL "
            "ORDER BY session_date"
        )
        return {SymbolKey(symbol, feed): close for symbol, feed, close in rows}

    def _rows(self, sql: str) -> Sequence[Sequence[Any]]:
        with self._lock:
            found = self._answers.get(sql)
            if found and self.now() - found[0] < self.seconds:
                return found[1]
        rows = self.ask(sql)
        with self._lock:
            self._answers[sql] = self.now(), rows
            self._answers.move_to_end(sql)
            while len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        return rows


def _of(key: SymbolKey, first: date, last: date) -> str:
    """Return the condition for a symbol's bars. Its names were checked: they have no quotes."""
    return f"symbol = '{key.symbol}' AND feed = '{key.feed}' AND {_within(first, last)}"


def _within(first: date, last: date) -> str:
    """Return a condition that reaches the files: partitions by year, then the date."""
    return f"year BETWEEN {first.year} AND {last.year} AND session_date BETWEEN date '{first}' AND date '{last}'"


def _bar(time: str, *figures: Any) -> Bar:
    open_, high, low, close, volume, vwap, trade_count, *part = figures
    return Bar(time, open_, high, low, close, _plain(Decimal(volume)), vwap, int(trade_count), *part)


def _plain(volume: Decimal) -> Decimal:
    """Return a volume without zeros at the end, as live bars have it."""
    return volume.quantize(1) if volume == volume.to_integral_value() else volume.normalize()
