"""The recorded session streams through faults, and ends as a batch job would make it."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import SymbolState
from stock_pipeline.streaming.record_packing import partition_key
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.faults import Fault
from tests.support.oracle import windows, winning_trades
from tests.support.sample_session import sample_trades
from tests.support.stream_batches import MAPPING
from tests.support.streaming_books import Line
from tests.support.streaming_world import BUCKETS, WINDOWS, StreamingWorld

SYMBOLS = 5
PAGE_LINES = 97
TRADES = 1_500
MAPPING_OF_SMALL_BATCHES = replace(MAPPING, batch_size=20, maximum_retry_attempts=-1)

disturbances = st.lists(
    st.tuples(
        st.sampled_from(["put_item", "put_object", "put_records", "handle", "batch_get_item"]),
        st.sampled_from([Fault.REFUSED, Fault.ANSWER_LOST, Fault.REPEATED, Fault.PARTIAL, Fault.CRASH_AFTER]),
    ),
    max_size=30,
)


def lines_of_the_session(chance: random.Random) -> list[Line]:
    """Deal part of the session out to several symbols, in random order, a tenth of it twice."""
    lines = []
    for number, row in enumerate(sample_trades()[:TRADES]):
        symbol = f"{row.symbol}{number % SYMBOLS}"
        row = replace(row, symbol=symbol, event_id=row.event_id.replace(row.symbol, symbol))
        lines.append((partition_key(symbol, BUCKETS), encode_trade(row)))
    lines += chance.sample(lines, len(lines) // 10)
    chance.shuffle(lines)
    return lines


def drain(world: StreamingWorld) -> None:
    while not world.poll():
        pass


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), faults=disturbances, shards=st.integers(1, 3))
def test_streaming_in_any_order_equals_a_batch_job(seed: int, faults: list[tuple[str, Fault]], shards: int) -> None:
    chance = random.Random(seed)
    world = StreamingWorld(MAPPING_OF_SMALL_BATCHES, shards)
    lines = lines_of_the_session(chance)
    for operation, fault in faults:
        world.faults.expect(operation, fault)
    for start in range(0, len(lines), PAGE_LINES):
        world.publish(lines[start : start + PAGE_LINES])
        if chance.random() < 0.3:
            world.poll()
    world.faults.clear()
    world.publish_what_failed()
    drain(world)
    if world.redrive():
        drain(world)
    world.settle_books()

    expected = world.books.trades()
    assert len(expected) == TRADES
    assert winning_trades(world.books.lake_rows()) == winning_trades(expected)
    states = [SymbolState(key, held) for key, held in windows(expected, window_capacity(WINDOWS)).items()]
    assert len(states) == SYMBOLS
    assert world.dynamodb.items == {(s.key.symbol, s.key.feed): world.table.item(s) for s in states}
