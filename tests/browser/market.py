"""A market to look at: the real application over a lake in memory, to which a test adds trades when it likes."""

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import duckdb

from stock_pipeline.aws.shown_state import ShownState
from stock_pipeline.commands.serve import LOOPBACK, listening
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.serving.app import application
from stock_pipeline.serving.events import Events
from stock_pipeline.serving.server import Server
from tests.support.market import Market
from tests.support.raw_files import put_raw_file
from tests.support.trades import NOON, SESSION, trade

WINDOWS = (5, 20)
MINUTE_NS = 60 * 10**9
OPEN_NS = NOON - 150 * MINUTE_NS
"""9:30 in New York."""

FEED = "sim"


class ShownMarket(Market):
    """Trades come by raw files and the realtime table, as the processor writes them; earlier days from a database."""

    def __init__(self) -> None:
        super().__init__()
        self.models = duckdb.connect()
        figures = ", ".join(f"{name} DECIMAL(18,6)" for name in ("open", "high", "low", "close", "volume", "vwap"))
        figures += ", trade_count BIGINT, symbol VARCHAR, feed VARCHAR, session_date DATE, year INTEGER"
        self.models.execute(f"CREATE TABLE daily_bars ({figures})")
        self.models.execute(f"CREATE TABLE minute_bars (minute_start TIMESTAMP, session_part VARCHAR, {figures})")
        self._held: dict[SymbolKey, SymbolState] = {}
        self._files = 0
        self._port = 0

    def trade(self, *some: Trade) -> None:
        """Put trades into the lake and the realtime table, and let the follower look."""
        self._files += 1
        put_raw_file(self.lake.store, SESSION, self._files, some)
        by_key: dict[SymbolKey, list[Trade]] = {}
        for each in some:
            by_key.setdefault(SymbolKey(each.symbol, each.feed), []).append(each)
        for key, trades in by_key.items():
            state = self._held.get(key, SymbolState(key, ())).merged_with(trades, WINDOWS)
            self._held[key], self.windows[key] = state, list(state.window)
            if state.latest is not None:
                last, newest = state.last_eligible, state.latest
                self.states[key] = ShownState(
                    key,
                    SESSION,
                    newest.event_time_ns,
                    newest.price,
                    last_eligible=last.price if last else None,
                    averages={average.window: average.price for average in state.averages(WINDOWS)},
                    volume=Decimal(newest.volume or 0),
                )
        self.step()

    def _ask(self, sql: str) -> Sequence[Sequence[Any]]:
        return self.models.cursor().execute(sql).fetchall()

    def yesterday(self, closes: dict[str, Decimal]) -> None:
        """Let dbt have built earlier days, of which the last has these closes."""
        rows = []
        days = [day for day in (SESSION - timedelta(days=n) for n in range(400, 0, -1)) if day.weekday() < 5]
        chance = random.Random(3)
        for symbol, close in closes.items():
            last = float(close)
            walked = [last]
            for _ in days[1:]:
                walked.append(walked[-1] / (1 + chance.gauss(0.0004, 0.012)))
            for day, price in zip(reversed(days), walked, strict=True):
                edges = [price * (1 + chance.gauss(0, 0.006)) for _ in range(3)]
                figures = [edges[0], max(price, *edges), min(price, *edges), price]
                volume = chance.randint(800_000, 4_000_000)
                rows.append(
                    (
                        *(round(each, 2) for each in figures),
                        volume,
                        round(price, 2),
                        volume // 130,
                        symbol,
                        FEED,
                        day,
                        day.year,
                    )
                )
        self.models.executemany(f"INSERT INTO daily_bars VALUES ({', '.join('?' * 11)})", rows)

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve it, on the port that it had before if it had one; yield the address."""
        events = Events()
        server = Server(application(self.service, events, follows=False), events)
        with listening(LOOPBACK, self._port) as listener:
            self._port = listener.getsockname()[1]
            thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
            thread.start()
            try:
                yield f"http://127.0.0.1:{self._port}"
            finally:
                server.stop()
                thread.join()
                self.service.publish = lambda _frame: None


def some_trade(number: int, symbol: str = "ABC", **changes: object) -> Trade:
    return trade(number, symbol=symbol, event_id=f"{FEED}:{symbol}:20180102:X:{number}", **changes)


def a_day(symbols: Sequence[str], minutes: range = range(-60, 420, 1), seed: int = 1) -> list[Trade]:
    """Trades of a day that goes up and down, from before the open until after the close."""
    chance = random.Random(seed)
    found = []
    for place, symbol in enumerate(symbols):
        price = 40 + 37.5 * place
        for minute in minutes:
            is_regular = 0 <= minute < 390
            for turn in range(2):
                price *= 1 + chance.gauss(0.00002, 0.0009 if is_regular else 0.0004)
                number = (minute + 60) * 2 + turn
                found.append(
                    some_trade(
                        number,
                        symbol,
                        event_time_ns=OPEN_NS + minute * MINUTE_NS + turn * 20 * 10**9 + place,
                        price=Decimal(f"{price:.2f}"),
                        volume=chance.choice((100, 100, 200, 300, 1200)) * (3 if is_regular else 1),
                        conditions="" if is_regular else "T",
                    )
                )
    return found
