"""What the demo publishes: a recorded session, simulated symbols beside the sample, and broken lines."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.feed_session import is_feed_session
from stock_pipeline.domain.session import FIRST_CALENDAR_YEAR
from stock_pipeline.domain.trade import Trade, shares_text
from stock_pipeline.errors import InputFileError
from stock_pipeline.providers.files.replay import ReplayFile
from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import Simulation, SimulatorProvider, arrivals
from stock_pipeline.streaming.trade_json import encode_trade

SYMBOLS = ("AAPL", "AMZN", "BRK.B", "GOOG", "JPM", "MSFT", "NVDA", "TSLA", "XOM")
TRADES = 36_000
SEED = 20180102
REPEATED, LATE, REORDERED = 0.01, 0.01, 0.1

FAR_FUTURE_NS = 2**62


@dataclass(frozen=True, slots=True)
class Source:
    """Name, number of rows and pages of one provider's session."""

    name: str
    rows: int
    captures: Iterator[Capture]


@dataclass(frozen=True, slots=True)
class RecordedSession:
    source: Source
    sessions: tuple[date, ...]
    first_symbol: str
    feed: str


def recorded_session(path: Path, feed: str = "") -> RecordedSession:
    """Read a file of any format of docs/files.md as trades of a feed, whose name says its sessions.

    feed: by default that of the file's format. Raises `InputFileError` if the file is unreadable, has no trades, or has
    some of a day without trading.
    """
    replay = ReplayFile(path, time.time_ns, feed)
    rows = replay.rows
    if not rows.trades.num_rows:
        raise InputFileError(f"{path} has no trades" + (f": {rows.bad[0].reason}" if rows.bad else ""))
    sessions = tuple(sorted(pc.unique(rows.trades["session_date"]).to_pylist()))
    for session_date in sessions:
        if session_date.year < FIRST_CALENDAR_YEAR:
            raise InputFileError(f"{path} has trades of {session_date}; the calendar begins in {FIRST_CALENDAR_YEAR}")
        if not is_feed_session(session_date, rows.feed):
            raise InputFileError(f"{path} has trades of {session_date}, a day on which the exchange is closed")
    return RecordedSession(
        Source(f"recorded {path.name}", len(rows), replay.poll(None, FAR_FUTURE_NS)),
        sessions,
        first_symbol=rows.trades["symbol"][0].as_py(),
        feed=rows.feed,
    )


def simulated_session(session_date: date) -> Source:
    """Return nine simulated symbols of the session. Some trades are repeated, late, or out of order."""
    simulation = Simulation(SYMBOLS, session_date, TRADES, SEED, repeated=REPEATED, late=LATE, reordered=REORDERED)
    ledger = Ledger()
    for _ in arrivals(simulation, 0, ledger):
        pass  # counted by the ledger
    captures = SimulatorProvider(simulation, time.time_ns).poll(None, FAR_FUTURE_NS)
    return Source(f"{len(SYMBOLS)} simulated symbols", ledger.lines, captures)


def broken_lines(good: Trade) -> dict[str, bytes]:
    """Return lines that are not trades, by what is wrong with each."""
    line = encode_trade(good)
    volume = f'"volume":{shares_text(good.volume or 0)}'.encode()
    return {
        "not JSON": b"BTC 64000.5 bought at noon",
        "wrong type": line.replace(volume, b'"volume":"a lot"'),
        "negative price": encode_trade(replace(good, price=Decimal("-1.25"))),
        "unknown field": line[:-1] + b',"mood":"bullish"}',
        "symbol of 300 characters": encode_trade(replace(good, symbol="X" * 300)),
        "integer beyond 64 bits": line.replace(volume, b'"volume":%d' % 2**64),
    }
