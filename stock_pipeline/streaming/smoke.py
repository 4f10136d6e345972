"""The smoke check: one marked trade followed through a deployed pipeline, with a verdict that says where it stopped.

The trade is of a feed of its own and a notice, no execution: it counts in no bar, no average and no total. What each
place is asked is decided here; how it is asked comes in as functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stock_pipeline.domain.trade import Trade

FEED = "smoke"
BETWEEN_SECONDS = 2.0


def marked_trade(mark: str, now_ns: int) -> Trade:
    """A trade that can't be mistaken for another one. `mark`: hexadecimal digits, new each time."""
    return Trade(
        event_id=f"{FEED}:{mark}",
        feed=FEED,
        capture_mode="trade",
        symbol=f"SMOKE-{mark[:8]}",
        event_time_ns=now_ns,
        sequence=0,
        price=Decimal("1.000001"),
        volume=1,
        exchange="",
        conditions="",
        tape="",
        status="notice",
        version=0,
        ingest_time_ns=now_ns,
    )


@dataclass(frozen=True, slots=True)
class Stop:
    """A place that the trade comes to. `advice`: where to look if it does not."""

    place: str
    has_arrived: Callable[[Trade], bool]
    advice: str


@dataclass(frozen=True, slots=True)
class Seen:
    place: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SmokeVerdict:
    """Where the trade was seen; `missing` is the first place where it was not."""

    trade: Trade
    seen: tuple[Seen, ...]
    missing: Stop | None

    @property
    def passed(self) -> bool:
        return self.missing is None


@dataclass(frozen=True)
class Smoke:
    """publish: puts the trade into the stream, or raises. wait: pauses for seconds."""

    publish: Callable[[Trade], None]
    stops: Sequence[Stop]
    now_ns: Callable[[], int]
    wait: Callable[[float], None]
    tell: Callable[[Seen], None]

    def run(self, mark: str, timeout_seconds: float) -> SmokeVerdict:
        """Publish, then ask each place in turn until the trade is there or the time is up for the whole way."""
        started_ns = self.now_ns()
        trade = marked_trade(mark, started_ns)
        self.publish(trade)
        seen: list[Seen] = []
        for stop in self.stops:
            while not stop.has_arrived(trade):
                if self.now_ns() - started_ns > timeout_seconds * 1e9:
                    return SmokeVerdict(trade, tuple(seen), stop)
                self.wait(BETWEEN_SECONDS)
            seen.append(Seen(stop.place, (self.now_ns() - started_ns) / 1e9))
            self.tell(seen[-1])
        return SmokeVerdict(trade, tuple(seen), None)
