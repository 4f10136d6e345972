"""An endless market for the local stack: simulated trades through the producer's code.

Trades happen now. While the exchange is closed the last session repeats at its own speed, to show something at night
too.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.session import SessionHours, exchange_time_zone, session_hours
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.providers.simulator.broken_line import BrokenLine
from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import Arrival, Simulation, arrivals
from stock_pipeline.streaming.producer import Producer
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.record_packing import partition_key

SYMBOLS = ("AAPL", "AMZN", "BRK.B", "GOOG", "JPM", "MSFT", "NVDA", "TSLA", "XOM")
ENDLESS_TRADES = 1_000_000_000
BROKEN_SHARE = 0.002
PAUSE_SECONDS = 1.0
PUBLISH_SECONDS = 30


def event_time_of(now: datetime) -> datetime:
    """Return the event time of a trade made up now.

    While the market is open that is now. From its close on the last session repeats.
    """
    today = now.astimezone(exchange_time_zone()).date()
    hours = last_session(today, now)
    now_ns = int(now.timestamp() * 1_000_000) * 1_000
    if now_ns < hours.close_ns:
        return now
    played_ns = hours.open_ns + (now_ns - hours.close_ns) % (hours.close_ns - hours.open_ns)
    return datetime.fromtimestamp(played_ns / 1e9, UTC)


def last_session(today: date, now: datetime) -> SessionHours:
    """Return the session that is on, or else the last one."""
    day = today
    while True:
        hours = session_hours(day)
        if hours is not None and hours.open_ns <= now.timestamp() * 1e9:
            return hours
        day -= timedelta(days=1)


def endless_arrivals(session_date: date, seed: int) -> Iterator[Arrival]:
    """Yield trades and broken lines without end. Each trade comes once, so it has one time."""
    simulation = Simulation(SYMBOLS, session_date, ENDLESS_TRADES, seed, broken=BROKEN_SHARE)
    return arrivals(simulation, time.time_ns(), Ledger())


@dataclass
class LiveFeed:
    """The endless market, as it is published.

    publisher, producer: as in the producer Lambda.
    lines: number made so far.
    failure: the error that ended the feed.
    """

    publisher: Publisher
    producer: Producer
    arrivals: Iterator[Arrival]
    lines_per_second: int
    lines: int = 0
    failure: StockPipelineError | None = None

    @property
    def source(self) -> str:
        return f"simulated, {self.lines_per_second} a second; one in {1 / BROKEN_SHARE:.0f} is broken on purpose"

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set. A lasting error is kept in `failure`, and sets it."""
        while not stop.is_set():
            try:
                self.publish(datetime.now(UTC))
            except StockPipelineError as error:
                self.failure = error
                stop.set()
            stop.wait(PAUSE_SECONDS)

    def publish(self, now: datetime) -> None:
        """Publish one second's trades, and the broken lines among them."""
        made = list(islice(self.arrivals, self.lines_per_second))
        event_time_ns = int(event_time_of(now).timestamp() * 1_000_000) * 1_000
        now_ns = int(now.timestamp() * 1_000_000) * 1_000
        trades = tuple(
            replace(one, event_time_ns=event_time_ns, ingest_time_ns=now_ns) for one in made if isinstance(one, Trade)
        )
        deadline_ns = time.time_ns() + PUBLISH_SECONDS * 10**9
        self.producer.run([Capture(trades, (), checkpoint="")], deadline_ns)
        key = partition_key(SYMBOLS[0], self.publisher.buckets)
        broken = [(key, one.line) for one in made if isinstance(one, BrokenLine)]
        self.publisher.publish_lines(broken, deadline_ns)
        self.lines += len(made)
