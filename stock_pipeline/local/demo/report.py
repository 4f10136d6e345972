"""Figures of a demo: every line accounted for, and the checks of it.

Figures in, sentences out; nothing is read here.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

from stock_pipeline.domain.moving_average import MovingAverage
from stock_pipeline.domain.symbol_state import SymbolState
from stock_pipeline.domain.trade import exact_shares
from stock_pipeline.local.demo.example_queries import ExampleQuery
from stock_pipeline.providers.files.sample_session import PublishedBar


@dataclass(frozen=True, slots=True)
class Accounting:
    """Every line that went into the stream, and where it is now."""

    published: int
    in_lake: int
    duplicates: int
    rejected: int

    @property
    def balances(self) -> bool:
        return self.published == self.in_lake + self.duplicates + self.rejected


@dataclass(frozen=True, slots=True)
class SymbolFigures:
    """Latest state of one symbol and feed in DynamoDB."""

    state: SymbolState
    averages: tuple[MovingAverage, ...]


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    query: ExampleQuery
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Result of the demo.

    rejections: the messages of the dead-letter queue.
    """

    sessions: tuple[date, ...]
    accounting: Accounting
    rejections: tuple[dict[str, Any], ...]
    states: tuple[SymbolFigures, ...]
    daily_bars: tuple[dict[str, Any], ...]
    answers: tuple[QueryAnswer, ...]


def disagreements(report: DemoReport, published: PublishedBar | None) -> list[str]:
    """Return a sentence for each wrong figure."""
    found = []
    if not report.accounting.balances:
        found.append(f"the accounting does not balance: {report.accounting}")
    if published is None:
        return found
    bars = [
        bar
        for bar in report.daily_bars
        if (bar["symbol"], bar["session_date"]) == (published.symbol, published.session_date)
    ]
    if len(bars) != 1:
        return [*found, f"there are {len(bars)} daily bars of {published.symbol} on {published.session_date}"]
    for name in ("open", "high", "low", "close", "volume"):
        if bars[0][name] != getattr(published, name):
            found.append(f"{name} of {published.symbol} is {bars[0][name]}, published is {getattr(published, name)}")
    return found


def report_json(report: DemoReport) -> dict[str, Any]:
    """Return the figures for a machine: accounting, state and daily bars. Prices are decimals."""
    accounting = report.accounting
    return {
        "sessions": [session_date.isoformat() for session_date in report.sessions],
        "accounting": {
            "published": accounting.published,
            "in_lake": accounting.in_lake,
            "duplicates": accounting.duplicates,
            "rejected": accounting.rejected,
            "rejected_by_reason": dict(Counter(message.get("reason", "failed batch") for message in report.rejections)),
            "balances": accounting.balances,
        },
        "state": [_state_json(figures) for figures in report.states],
        "daily_bars": [{**bar, "volume": exact_shares(bar["volume"])} for bar in report.daily_bars],
    }


def _state_json(figures: SymbolFigures) -> dict[str, Any]:
    state, latest = figures.state, figures.state.latest
    document: dict[str, Any] = {"symbol": state.key.symbol, "feed": state.key.feed}
    if latest is not None:
        document |= {
            "price": latest.price,
            "volume": latest.volume,
            "event_time_ns": latest.event_time_ns,
            "event_id": latest.event_id,
            "session_date": state.session_date,
        }
    return document | {f"sma_{average.window}": average.price for average in figures.averages}
