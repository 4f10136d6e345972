"""Items expire, and nothing that comes late or again becomes the latest price or brings a cancelled trade back.

A trade is remembered for as long as an item with it may not expire. Of what is remembered the state follows from the
trades alone, whatever page, version or delivery they came in.
"""

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.streaming.record_packing import partition_key
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.clock import SECOND, START_NS
from tests.support.oracle import windows
from tests.support.stream_batches import MAPPING
from tests.support.streaming_world import BUCKETS, WINDOWS, StreamingWorld
from tests.support.trades import trade

DAYS = 2
HOUR_NS = 3_600 * SECOND
STATUSES = ("good", "corrected", "cancelled")
KEY = SymbolKey("ABC", "sim")

versions = st.tuples(st.integers(-10, 10), st.integers(0, 1), st.sampled_from([0, 0, 1, 2]))
"""Place in time, number and version of a trade. Places are six hours apart; the first ones lie before the start."""


def version_of_trade(place: int, number: int, version: int) -> Trade:
    return trade(
        number,
        event_id=f"sim:ABC:{place}:{number}",
        event_time_ns=START_NS + place * 6 * HOUR_NS,
        price=Decimal(1000 + 10 * place + number + version) / 8,
        status=STATUSES[version],
        version=version,
        ingest_time_ns=START_NS,
    )


class Expiry(RuleBasedStateMachine):
    world: StreamingWorld

    @initialize()
    def begin(self) -> None:
        self.world = StreamingWorld(MAPPING, 1, ArrivalLimits(remembered_days=DAYS))
        self.arrived: set[Trade] = set()
        self.arrived_in_time: set[Trade] = set()

    @rule(pages=st.lists(st.lists(versions, min_size=1, max_size=3), min_size=1, max_size=3))
    def trades_come(self, pages: list[list[tuple[int, int, int]]]) -> None:
        """Publish pages, in which versions of one trade come together or apart."""
        for page in pages:
            rows = [version_of_trade(*each) for each in page]
            self.world.publish([(partition_key(row.symbol, BUCKETS), encode_trade(row)) for row in rows])
            arrived = {row for row in rows if row.event_time_ns <= self.now_ns + ArrivalLimits().ahead_ns}
            self.arrived |= arrived
            self.arrived_in_time |= {*self.remembered(arrived)}
        while not self.world.poll():
            pass

    @rule(hours=st.sampled_from([1, 7, 13, 30, 55]))
    def time_passes(self, hours: int) -> None:
        self.world.clock.pass_by(hours * 3_600)

    @rule()
    def expired_items_go(self) -> None:
        """DynamoDB deletes them within days (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html)."""
        items = self.world.dynamodb.items
        for key in [key for key, item in items.items() if int(item["expires_at"]["N"]) * SECOND < self.now_ns]:
            del items[key]

    @precondition(lambda self: self.world.events)
    @rule(place=st.integers(0, 50))
    def a_batch_comes_again(self, place: int) -> None:
        self.world.deliver_again(place)

    @invariant()
    def what_is_remembered_follows_from_the_trades(self) -> None:
        if not hasattr(self, "world"):
            return
        expected = windows(self.arrived, window_capacity(WINDOWS)).get(KEY, ())
        assert self.remembered(self.world.state()) == self.remembered(expected)

    @invariant()
    def what_is_forgotten_is_as_it_was_or_gone(self) -> None:
        """No version in the state is older than one that came while its trade was remembered."""
        if not hasattr(self, "world"):
            return
        newest = {(row.event_id, row.version) for row in windows(self.arrived_in_time, 10**6).get(KEY, ())}
        assert {(row.event_id, row.version) for row in self.world.state()} <= newest

    @property
    def now_ns(self) -> int:
        return int(self.world.clock.now().timestamp()) * SECOND

    def remembered(self, rows: Any) -> list[Trade]:
        return [row for row in rows if row.event_time_ns >= self.now_ns - DAYS * 24 * HOUR_NS]


TestExpiry: Any = Expiry.TestCase
TestExpiry.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
