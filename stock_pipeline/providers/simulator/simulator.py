"""Simulator: a seeded session of made-up trades that misbehaves like a real one.

The same `Simulation` gives the same arrivals in any process. Rows are marked `feed = "sim"`, so that they never mix
with a market's. Memory does not grow with the number of trades, because they are made slice by slice and delayed ones
wait in a heap. Breaking a line belongs to `broken_line`, the result that must come to `ledger`.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import accumulate, islice

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.session import SessionHours, session_hours
from stock_pipeline.domain.trade import SHARE_PARTS, VOLUME_SCALE, Shares, Trade, exact_shares, provider_event_id
from stock_pipeline.errors import PermanentError
from stock_pipeline.providers.simulator.broken_line import KINDS, BrokenLine, break_line
from stock_pipeline.providers.simulator.ledger import Ledger

FEED = "sim"
NANOSECONDS = 10**9

PAGE_ARRIVALS = 5_000
SLICE_TRADES = 10_000

REORDERED_PLACES = 100
REPEATED_PLACES = 500
CORRECTED_PLACES = 5_000
LATE_PLACES = 20_000
"""Most places that an arrival comes after its turn. Bounds the heap."""

_CENT = Decimal("0.01")
_EXCHANGES = "NQPZKB"
_STEPS = (-2, -1, -1, 0, 0, 0, 1, 1, 2)
_ROUND_LOTS = (100, 100, 100, 200, 300, 500)
_ODD_LOT_SHARE = 1 / 7
_PART_OF_A_SHARE = 1 / 3
_BROKEN_KINDS = tuple(KINDS)

Arrival = Trade | BrokenLine


class SimulationError(PermanentError):
    """The simulation's day has no session, or it has too few trades for its symbols."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """Plan of a simulation: `trades` in all, the first symbols trading more than the last. The shares are fractions.

    repeated: delivered twice
    late: delivered thousands of places later
    reordered: delivered up to a hundred places later
    corrected, cancelled: followed by a new version
    broken: followed by a broken line
    """

    symbols: tuple[str, ...]
    session_date: date
    trades: int
    seed: int
    repeated: float = 0.0
    late: float = 0.0
    reordered: float = 0.0
    corrected: float = 0.0
    cancelled: float = 0.0
    broken: float = 0.0

    def __post_init__(self) -> None:
        if session_hours(self.session_date) is None:
            raise SimulationError(f"the exchange is closed on {self.session_date}: simulate a trading day")
        if not self.symbols or self.trades < 2 * len(self.symbols):
            raise SimulationError(
                f"{self.trades} trades of {len(self.symbols)} symbols can't be simulated: give at least one symbol, "
                "and two trades a symbol for its opening and closing print"
            )


def arrivals(simulation: Simulation, ingest_time_ns: int, ledger: Ledger) -> Iterator[Arrival]:
    """Yield everything in the order of its delivery, noted in the ledger, which is complete at the end.

    ingest_time_ns: stamps every row
    """
    chance = random.Random(f"arrivals {simulation.seed}")
    draw = chance.random
    waiting: list[tuple[float, int, Arrival]] = []
    pushed = 0
    for place, trade in enumerate(_trades(simulation, ingest_time_ns)):
        while waiting and waiting[0][0] <= place:
            yield heapq.heappop(waiting)[2]
        for at, arrival in _deliveries(simulation, trade, place, draw, ledger):
            if at == place:
                yield arrival
            else:
                # the second element keeps arrivals of one place in order and from being compared
                pushed += 1
                heapq.heappush(waiting, (at, pushed, arrival))
    while waiting:
        yield heapq.heappop(waiting)[2]


@dataclass(frozen=True)
class SimulatorProvider:
    """Simulation as a provider. Broken lines are handed over as unreadable."""

    simulation: Simulation
    now_ns: Callable[[], int]
    page_arrivals: int = PAGE_ARRIVALS

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield pages of arrivals after the number of them in `checkpoint`, until the end or the deadline."""
        handed_over = int(checkpoint) if checkpoint else 0
        # the same seed gives the same arrivals, so skipping them leads to the same place
        rest = islice(arrivals(self.simulation, self.now_ns(), Ledger()), handed_over, None)
        while self.now_ns() < deadline_ns and (page := list(islice(rest, self.page_arrivals))):
            handed_over += len(page)
            yield Capture(
                tuple(arrival for arrival in page if isinstance(arrival, Trade)),
                tuple(
                    UnreadablePayload(arrival.reason, arrival.kind, arrival.line)
                    for arrival in page
                    if isinstance(arrival, BrokenLine)
                ),
                checkpoint=str(handed_over),
            )


def _trades(simulation: Simulation, ingest_time_ns: int) -> Iterator[Trade]:
    """Yield trades by time: each symbol's opening print, the session, each symbol's closing print."""
    hours = session_hours(simulation.session_date)
    assert hours is not None
    symbols = simulation.symbols
    between = simulation.trades - 2 * len(symbols)
    generator = random.Random(f"trades {simulation.seed}")
    tapes = [_Tape(symbol, simulation.session_date, generator, ingest_time_ns) for symbol in symbols]
    for tape in tapes:
        yield tape.print(hours.open_ns + NANOSECONDS, 25_000, "O")
    yield from _regular_trades(tapes, hours, between, generator)
    for tape in tapes:
        yield tape.print(hours.close_ns + 5 * NANOSECONDS, 50_000, "6")


def _regular_trades(tapes: "list[_Tape]", hours: SessionHours, count: int, generator: random.Random) -> Iterator[Trade]:
    """Yield `count` trades between opening prints and close, in slices of equal time and number."""
    first_ns = hours.open_ns + 2 * NANOSECONDS
    weights = list(accumulate(1 / (rank + 5) for rank in range(len(tapes))))
    slices = -(-count // SLICE_TRADES)
    for number in range(slices):
        trades = count * (number + 1) // slices - count * number // slices
        start_ns = first_ns + (hours.close_ns - first_ns) * number // slices
        end_ns = first_ns + (hours.close_ns - first_ns) * (number + 1) // slices
        times = sorted(start_ns + int(generator.random() * (end_ns - start_ns)) for _ in range(trades))
        for event_time_ns, tape in zip(times, generator.choices(tapes, cum_weights=weights, k=trades), strict=True):
            yield tape.regular(event_time_ns)


def _odd_lot(draw: float) -> Shares:
    """Return 1 to 99 shares; of three, one is a part of a share, as most such prints of the tape are."""
    shares = draw * 99
    rest = shares % 1
    if rest < _PART_OF_A_SHARE:
        return exact_shares(Decimal(1 + int(rest / _PART_OF_A_SHARE * (SHARE_PARTS - 1))).scaleb(-VOLUME_SCALE))
    return 1 + int(shares)


class _Tape:
    """Prints of one symbol: a random walk of its price in cents."""

    def __init__(self, symbol: str, session_date: date, generator: random.Random, ingest_time_ns: int) -> None:
        self._symbol = symbol
        self._draw = generator.random
        self._ingest_time_ns = ingest_time_ns
        self._cents = 1_000 + int(self._draw() * 39_000)
        self._sequence = 0
        self._id_prefixes = {
            exchange: provider_event_id(FEED, symbol, session_date, exchange, "") for exchange in _EXCHANGES
        }

    def regular(self, event_time_ns: int) -> Trade:
        draw = self._draw
        if draw() < _ODD_LOT_SHARE:
            return self.print(event_time_ns, _odd_lot(draw()), "I")
        volume = _ROUND_LOTS[int(draw() * len(_ROUND_LOTS))]
        return self.print(event_time_ns, volume, "F" if draw() < 1 / 3 else "")

    def print(self, event_time_ns: int, volume: Shares, conditions: str) -> Trade:
        draw = self._draw
        self._cents = max(1, self._cents + _STEPS[int(draw() * len(_STEPS))])
        exchange = _EXCHANGES[int(draw() * len(_EXCHANGES))]
        number = self._sequence
        self._sequence += 1
        return Trade(
            event_id=f"{self._id_prefixes[exchange]}{number}",
            feed=FEED,
            capture_mode="trade",
            symbol=self._symbol,
            event_time_ns=event_time_ns,
            sequence=number,
            price=self._cents * _CENT,
            volume=volume,
            exchange=exchange,
            conditions=conditions,
            tape="A",
            status="good",
            version=0,
            ingest_time_ns=self._ingest_time_ns,
        )


def _deliveries(
    simulation: Simulation, trade: Trade, place: int, draw: Callable[[], float], ledger: Ledger
) -> Iterator[tuple[float, Arrival]]:
    is_reordered, is_late, is_repeated = draw(), draw(), draw()
    fate, broken = draw(), draw()
    at = float(place)
    if is_reordered < simulation.reordered:
        ledger.reordered += 1
        at += 1 + draw() * (REORDERED_PLACES - 1)
    if is_late < simulation.late:
        ledger.late += 1
        at += LATE_PLACES * (0.1 + 0.9 * draw())
    yield at, trade
    ledger.note_row(trade)
    if is_repeated < simulation.repeated:
        ledger.repeats += 1
        yield at + draw() * REPEATED_PLACES, trade
    later = _later_version(simulation, trade, fate)
    if later is not None:
        ledger.note_row(later)
        ledger.corrected += later.status == "corrected"
        ledger.cancelled += later.status == "cancelled"
        yield at + 1 + draw() * CORRECTED_PLACES, later
    ledger.note_trade(later or trade)
    if broken < simulation.broken:
        line = break_line(trade, _BROKEN_KINDS[int(draw() * len(_BROKEN_KINDS))])
        ledger.rejected[line.reason] += 1
        yield at, line


def _later_version(simulation: Simulation, trade: Trade, fate: float) -> Trade | None:
    if fate < simulation.cancelled:
        return replace(trade, status="cancelled", version=1)
    if fate < simulation.cancelled + simulation.corrected:
        return replace(trade, status="corrected", version=1, price=trade.price + _CENT)
    return None
