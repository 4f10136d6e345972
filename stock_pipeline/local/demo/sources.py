"""What the demo publishes: a recorded session, simulated symbols beside the sample, and broken lines."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.feed_session import feed_session_date, is_feed_session
from stock_pipeline.domain.session import FIRST_CALENDAR_YEAR
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InputFileError
from stock_pipeline.providers.files.replay import ReplayFile, symbol_of
from stock_pipeline.providers.files.session_file import read_session_file
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


def recorded_session(path: Path, feed: str = "taq") -> RecordedSession:
    """Read a session file as trades of a feed, whose name says its sessions.

    Raises `InputFileError` if it is unreadable or empty, or has trades of a day without trading.
    """
    table = read_session_file(path, feed)
    if not table.num_rows:
        raise InputFileError(f"{path} has no rows")
    times = pc.drop_null(table["event_time"])
    # sessions begin at full hours
    hours = pc.unique(pc.divide(times, 3_600 * 10**9)).to_pylist()
    sessions = tuple(sorted({feed_session_date(hour * 3_600 * 10**9, feed) for hour in hours}))
    for session_date in sessions:
        if session_date.year < FIRST_CALENDAR_YEAR:
            raise InputFileError(f"{path} has trades of {session_date}; the calendar begins in {FIRST_CALENDAR_YEAR}")
        if not is_feed_session(session_date, feed):
            raise InputFileError(f"{path} has trades of {session_date}, a day on which the exchange is closed")
    return RecordedSession(
        Source(f"recorded {path.name}", table.num_rows, ReplayFile(path, time.time_ns, feed).poll(None, FAR_FUTURE_NS)),
        sessions,
        first_symbol=next((symbol_of(name) for name in pc.unique(table["symbol"]).to_pylist() if name), ""),
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
    volume = b'"volume":%d' % (good.volume or 0)
    return {
        "not JSON": b"BTC 64000.5 bought at noon",
        "wrong type": line.replace(volume, b'"volume":"a lot"'),
        "negative price": encode_trade(replace(good, price=Decimal("-1.25"))),
        "unknown field": line[:-1] + b',"mood":"bullish"}',
        "symbol of 300 characters": encode_trade(replace(good, symbol="X" * 300)),
        "integer beyond 64 bits": line.replace(volume, b'"volume":%d' % 2**64),
    }
