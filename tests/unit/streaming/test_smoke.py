"""The smoke check's verdict: where the trade was seen, and the first place where it was not."""

from collections.abc import Callable
from dataclasses import dataclass, field

from stock_pipeline.domain.trade import EFFECTIVE_STATUSES, Trade, check_trade
from stock_pipeline.streaming.smoke import BETWEEN_SECONDS, Seen, Smoke, Stop, marked_trade
from tests.support.clock import Clock
from tests.support.trades import NOON

MARK = "0123456789abcdef0123456789abcdef"


@dataclass
class Way:
    """A pipeline whose places have the trade so many seconds after it was published."""

    clock: Clock = field(default_factory=lambda: Clock(NOON))
    published: list[Trade] = field(default_factory=list)
    told: list[Seen] = field(default_factory=list)

    def arrives_after(self, seconds: float) -> Callable[[Trade], bool]:
        return lambda trade: trade in self.published and self.clock.ns >= trade.event_time_ns + seconds * 1e9

    def smoke(self, *seconds: float) -> Smoke:
        stops = [
            Stop(f"place {place}", self.arrives_after(after), f"advice {place}") for place, after in enumerate(seconds)
        ]
        return Smoke(self.published.append, stops, self.clock.now_ns, self.clock.wait, self.told.append)


def test_a_trade_that_comes_everywhere_passes_and_says_when() -> None:
    way = Way()
    verdict = way.smoke(0, 5, 4).run(MARK, timeout_seconds=60)
    assert verdict.passed
    assert [seen.place for seen in verdict.seen] == ["place 0", "place 1", "place 2"]
    assert [seen.seconds for seen in verdict.seen] == [0, 6, 6]
    assert way.told == list(verdict.seen)
    assert len(way.published) == 1


def test_the_first_place_without_the_trade_is_named_at_the_end() -> None:
    way = Way()
    verdict = way.smoke(3, 1e9, 0).run(MARK, timeout_seconds=30)
    assert not verdict.passed
    assert verdict.missing is not None
    assert verdict.missing.advice == "advice 1"
    assert [seen.place for seen in verdict.seen] == ["place 0"]
    assert way.clock.ns - NOON <= (30 + 2 * BETWEEN_SECONDS) * 1e9


def test_the_time_is_for_the_whole_way_not_for_each_place() -> None:
    verdict = Way().smoke(20, 40).run(MARK, timeout_seconds=30)
    assert not verdict.passed
    assert len(verdict.seen) == 1


def test_a_place_is_asked_once_more_after_the_time() -> None:
    assert Way().smoke(0).run(MARK, timeout_seconds=0).passed


def test_the_marked_trade_fits_the_contract_and_never_counts() -> None:
    trade = marked_trade(MARK, NOON)
    check_trade(trade)
    assert trade.status not in EFFECTIVE_STATUSES
    assert trade.feed == "smoke"
    assert marked_trade("f" * 32, NOON).event_id != trade.event_id
