"""The simulator: a seeded session of made-up trades that misbehaves like a real one.

Everything follows from the `Simulation` value: the same seed gives the same trades and the same arrivals, in any
process. Its rows are marked `feed = "sim"`, so that they never mix with a market's.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from stock_pipeline.domain.session import session_hours
from stock_pipeline.domain.trade import Trade, order_key, provider_event_id

FEED = "sim"
NANOSECONDS = 10**9

_CENT = Decimal("0.01")
_EXCHANGES = "NQPZKB"


@dataclass(frozen=True, slots=True)
class Simulation:
    """What to simulate. Shares are fractions of the trades.

    repeated: delivered twice. late: delivered at the end. reordered: delivered up to a hundred places off.
    corrected, cancelled: followed by a new version of the trade.
    """

    symbols: tuple[str, ...]
    session_date: date
    trades_per_symbol: int
    seed: int
    repeated: float = 0.0
    late: float = 0.0
    reordered: float = 0.0
    corrected: float = 0.0
    cancelled: float = 0.0


@dataclass(frozen=True, slots=True)
class SimulatedSession:
    """arrivals: rows in the order of their delivery, repeats included. rows: every distinct row once; the right
    answer of everything follows from them."""

    arrivals: tuple[Trade, ...]
    rows: tuple[Trade, ...]

    @property
    def repeats(self) -> int:
        return len(self.arrivals) - len(self.rows)


def simulate(simulation: Simulation, now_ns: int) -> SimulatedSession:
    """The session. `now_ns` stamps every row's ingest time. `ValueError` if the exchange is closed that day."""
    generator = random.Random(simulation.seed)
    rows: list[Trade] = []
    for symbol in simulation.symbols:
        rows.extend(_symbol_trades(simulation, symbol, generator, now_ns))
    rows.sort(key=order_key)
    rows.extend(_later_versions(simulation, rows, generator))
    return SimulatedSession(tuple(_arrivals(simulation, rows, generator)), tuple(rows))


def _symbol_trades(simulation: Simulation, symbol: str, generator: random.Random, now_ns: int) -> Iterator[Trade]:
    """An opening print, a random walk over the regular session with odd lots, and a closing print."""
    hours = session_hours(simulation.session_date)
    if hours is None:
        raise ValueError(f"the exchange is closed on {simulation.session_date}; simulate a trading day")
    count = simulation.trades_per_symbol
    times = sorted(generator.randrange(hours.open_ns, hours.close_ns) for _ in range(count))
    price = Decimal(generator.randrange(1_000, 40_000)) * _CENT
    for number, event_time_ns in enumerate(times):
        price = max(_CENT, price + generator.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2)) * _CENT)
        volume = generator.choice((100, 100, 100, 200, 300, 500, generator.randrange(1, 100)))
        conditions = "I" if volume < 100 else generator.choice(("", "", "F"))
        if number == 0:
            event_time_ns, volume, conditions = hours.open_ns + NANOSECONDS, 25_000, "O"
        elif number == count - 1:
            event_time_ns, volume, conditions = hours.close_ns + 5 * NANOSECONDS, 50_000, "6"
        exchange = generator.choice(_EXCHANGES)
        yield Trade(
            event_id=provider_event_id(FEED, symbol, simulation.session_date, exchange, number),
            feed=FEED,
            capture_mode="trade",
            symbol=symbol,
            event_time_ns=event_time_ns,
            sequence=number,
            price=price,
            volume=volume,
            exchange=exchange,
            conditions=conditions,
            tape="A",
            status="good",
            version=0,
            ingest_time_ns=now_ns,
        )


def _later_versions(simulation: Simulation, rows: list[Trade], generator: random.Random) -> list[Trade]:
    versions = []
    for trade in rows:
        draw = generator.random()
        if draw < simulation.cancelled:
            versions.append(replace(trade, status="cancelled", version=1))
        elif draw < simulation.cancelled + simulation.corrected:
            versions.append(replace(trade, status="corrected", version=1, price=trade.price + _CENT))
    return versions


def _arrivals(simulation: Simulation, rows: list[Trade], generator: random.Random) -> list[Trade]:
    """Rows in a misbehaving order: each has a place, which being late, reordered or repeated changes."""
    placed: list[tuple[float, Trade]] = []
    for place, trade in enumerate(rows):
        at = float(place)
        if generator.random() < simulation.reordered:
            at += generator.uniform(-100, 100)
        if generator.random() < simulation.late:
            at += len(rows)
        placed.append((at, trade))
        if generator.random() < simulation.repeated:
            placed.append((at + generator.uniform(0, 500), trade))
    placed.sort(key=lambda pair: pair[0])
    return [trade for _, trade in placed]
