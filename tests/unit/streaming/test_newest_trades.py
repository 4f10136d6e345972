from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.moving_average import merge
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.streaming.newest_trades import newest_rows
from stock_pipeline.trade_table import table_of_trades
from tests.support.strategies import trades
from tests.support.trades import trade


@given(st.lists(trades(symbols=("ABC", "XYZ", "Q")), max_size=60), st.lists(trades(), max_size=10), st.integers(1, 6))
def test_merging_the_newest_rows_equals_merging_all(rows: list[Trade], held_rows: list[Trade], capacity: int) -> None:
    held = merge((), held_rows, capacity)
    newest = newest_rows(table_of_trades(rows), np.arange(len(rows), dtype=np.int64), capacity)
    found = dict(newest.trades())
    assert set(found) == {SymbolKey(row.symbol, row.feed) for row in rows}
    for (key, trades_of_key), first_record in zip(newest.trades(), newest.first_records, strict=True):
        all_rows = [replace(row, ingest_time_ns=0) for row in rows if row.symbol == key.symbol]
        assert merge(held, trades_of_key, capacity) == merge(held, all_rows, capacity)
        assert first_record == min(n for n, row in enumerate(rows) if row.symbol == key.symbol)


def test_repeats_do_not_crowd_out_older_trades() -> None:
    rows = [trade(1), trade(2)] + [trade(3)] * 50
    ((_, found),) = newest_rows(table_of_trades(rows), np.zeros(len(rows), np.int64), 3).trades()
    assert {row.event_id for row in found} == {row.event_id for row in rows}


def test_feeds_of_one_symbol_are_apart() -> None:
    rows = [trade(1), trade(2, feed="iex", event_id="iex:1")]
    newest = newest_rows(table_of_trades(rows), np.arange(2, dtype=np.int64), 3)
    assert set(newest.keys) == {SymbolKey("ABC", "sim"), SymbolKey("ABC", "iex")}
