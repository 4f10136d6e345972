"""All symbols at once give what the domain says of each: rows, figures, revisions, and when nothing is written."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import MAX_PRICE, Shares, Trade
from stock_pipeline.streaming.newest_trades import newest_rows
from stock_pipeline.streaming.patience import Patience
from stock_pipeline.streaming.state_writer import StateWriter
from stock_pipeline.trade_table import table_of_trades
from tests.fakes.clients import FakeDynamoDbClient
from tests.support.trades import NOON, trade

HALF_DAY_NS = 12 * 3_600 * 10**9
KEYS = (SymbolKey("ABC", "sim"), SymbolKey("ABC", "overnight"), SymbolKey("BTC", "crypto"), SymbolKey("Q", "sim"))
CONDITIONS = ("", "I", "T", "M", "FTI", "?")
VOLUMES: tuple[Shares | None, ...] = (100, 0, None, Decimal("0.25"), 2**63 - 1, Decimal("0.000001"))
PRICES = (*map(Decimal, ("10.01", "10.02", "10.025", "0.000001", "461168601842.738790")), MAX_PRICE)


@st.composite
def rows(draw: st.DrawFn) -> Trade:
    """Draw a row that agrees with others in as much as it can: nothing is a function of its id."""
    key = draw(st.sampled_from(KEYS))
    volume = draw(st.sampled_from(VOLUMES))
    return trade(
        event_id=f"id:{draw(st.integers(0, 9))}",
        symbol=key.symbol,
        feed=key.feed,
        event_time_ns=NOON + draw(st.sampled_from((0, 1, 2, 10**9))) + draw(st.integers(0, 3)) * HALF_DAY_NS,
        sequence=draw(st.integers(0, 1)),
        version=draw(st.integers(0, 2)),
        price=draw(st.sampled_from(PRICES)),
        volume=volume,
        capture_mode="quote" if volume is None else "trade",
        status=draw(st.sampled_from(["good", "good", "corrected", "cancelled", "notice"])),
        exchange=draw(st.sampled_from(["X", ""])),
        conditions=draw(st.sampled_from(CONDITIONS)),
        tape=draw(st.sampled_from(["", "A"])),
        ingest_time_ns=0,
    )


def written(table: StateTable, batch: Sequence[Trade], windows: tuple[int, ...]) -> int:
    """Let the processor's part merge a batch. Return how many items it wrote."""
    newest = newest_rows(table_of_trades(batch), np.zeros(len(batch), np.int64), window_capacity(windows))
    writer = StateWriter(table, windows, Patience(lambda _: None, lambda: True), lambda _: False, threads=1)
    return writer.write(newest).writes


@given(st.lists(rows(), max_size=30), st.lists(rows(), max_size=30), st.sampled_from([(1,), (2, 3), (5, 20)]))
def test_a_batch_of_many_symbols_is_merged_as_the_domain_merges_one(
    held: list[Trade], batch: list[Trade], windows: tuple[int, ...]
) -> None:
    client = FakeDynamoDbClient()
    table = StateTable(client, "table", windows, 7)  # type: ignore[arg-type]
    before = {key: SymbolState(key, ()).merged_with(of(key, held), windows) for key in {key_of(row) for row in held}}
    for state in before.values():
        table.write(state, None)
    after = dict(before)
    for key in {key_of(row) for row in batch}:
        after[key] = before.get(key, SymbolState(key, ())).merged_with(of(key, batch), windows)

    assert written(table, batch, windows) == sum(after[key] != before.get(key) for key in after)
    assert client.items == {tuple(key): table.item(state) for key, state in after.items()}
    assert {key: stored.state for key, stored in table.read(sorted(after)).items()} == after
    assert written(table, batch, windows) == 0


def of(key: SymbolKey, trades: Sequence[Trade]) -> list[Trade]:
    return [row for row in trades if key_of(row) == key]


def key_of(row: Trade) -> SymbolKey:
    return SymbolKey(row.symbol, row.feed)


def test_a_redelivered_batch_of_other_ingest_times_writes_nothing() -> None:
    table = StateTable(FakeDynamoDbClient(), "table", (5,), 7)  # type: ignore[arg-type]
    batch = [trade(number) for number in range(100)]
    assert written(table, batch, (5,)) == 1
    assert written(table, [replace(row, ingest_time_ns=row.ingest_time_ns + 1) for row in batch], (5,)) == 0
