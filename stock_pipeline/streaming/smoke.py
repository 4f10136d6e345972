"""The smoke check: follows a marked trade through a deployed pipeline and says where it stopped.

The trade has a feed of its own and the status notice, so it counts in no bar, average or total.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stock_pipeline.domain.trade import Trade

FEED = "smoke"
BETWEEN_SECONDS = 2.0


def marked_trade(mark: str, now_ns: int) -> Trade:
    """Return a trade with the mark: hexadecimal digits, new each time."""
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
    """A place on the trade's way. advice: where to look if it does not arrive."""

    place: str
    has_arrived: Callable[[Trade], bool]
    advice: str


@dataclass(frozen=True, slots=True)
class Seen:
    place: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SmokeVerdict:
    """Result of a smoke check.

    missing: the first place without the trade, or None.
    """

    trade: Trade
    seen: tuple[Seen, ...]
    missing: Stop | None

    @property
    def passed(self) -> bool:
        return self.missing is None


@dataclass(frozen=True)
class Smoke:
    """Smoke check, with everything it acts on.

    publish: puts the trade into the stream, or raises.
    wait: pauses for seconds.
    """

    publish: Callable[[Trade], None]
    stops: Sequence[Stop]
    now_ns: Callable[[], int]
    wait: Callable[[float], None]
    tell: Callable[[Seen], None]

    def run(self, mark: str, timeout_seconds: float) -> SmokeVerdict:
        """Publish, then ask each place in turn. The timeout is for the whole way."""
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
