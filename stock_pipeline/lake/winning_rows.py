"""Chooses the winning row of each event id, by `domain.trade.PRECEDENCE`.

A redelivery or a correction has its original's symbol, time and sequence, so sorting makes them neighbours. A wrong
source may give a known event id another symbol or time. Such rows can lie anywhere: they are found by hash, and the
losing ones dropped before sorting.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from stock_pipeline.domain.trade import LAKE_ORDER, PRECEDENCE
from stock_pipeline.lake.packed_rows import Packing


def winning_rows(packed: pl.DataFrame, packing: Packing) -> pl.DataFrame:
    """Sort in the lake's order, and keep the winning row of neighbours with one event id."""
    keys = packing.sort_keys(packed)
    order = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    tied = np.zeros(len(order), bool)
    tied[1:] |= same
    tied[:-1] |= same
    if not same.any():
        return packed[order]
    places = np.flatnonzero(tied)
    chosen = _resolved(packed[order[places]], keys[order[places]], packing)
    # winning rows take the first places of their key; the places left over are those of losing rows
    starts = np.concatenate([[True], keys[order[places]][1:] != keys[order[places]][:-1]])
    group_of_place = np.cumsum(starts) - 1
    group_of_chosen = group_of_place[chosen]
    first_place = np.flatnonzero(starts)
    rank_in_group = np.arange(len(chosen)) - np.searchsorted(group_of_chosen, group_of_chosen)
    kept = np.full(len(order), -1, np.int64)
    kept[~tied] = order[~tied]
    kept[places[first_place[group_of_chosen] + rank_in_group]] = order[places[chosen]]
    return packed[kept[kept >= 0]]


def losing_rows(contested: pl.DataFrame, packing: Packing) -> pl.DataFrame:
    """Return the values of `LAKE_ORDER` that the rows of contested ids have, without those of winning rows."""
    readable = packing.readable(contested).with_row_index("row")
    winning = _by_precedence(readable, "event_id").unique("event_id", keep="last", maintain_order=True)
    return readable.select(LAKE_ORDER).unique().join(winning.select(LAKE_ORDER), on=LAKE_ORDER, how="anti")


def drop_rows(packed: pl.DataFrame, losing: pl.DataFrame, packing: Packing) -> pl.DataFrame:
    """Drop the rows whose columns of `LAKE_ORDER` are among `losing`."""
    codes = {symbol: code for code, symbol in enumerate(packing.strings("symbol").by_code)}
    coded = losing.with_columns(
        pl.Series("symbol", [codes[symbol] for symbol in losing["symbol"]], packed["symbol"].dtype)
    )
    return packed.join(coded, on=coded.columns, how="anti", maintain_order="left")


def _resolved(tied: pl.DataFrame, keys: npt.NDArray[np.uint64], packing: Packing) -> npt.NDArray[np.int64]:
    """Return the places of the winning rows among neighbours with equal keys."""
    rows = packing.readable(tied).with_columns(key=pl.Series(keys)).with_row_index("place")
    same = ("key", *LAKE_ORDER)
    winning = _by_precedence(rows, *same).unique(same, keep="last", maintain_order=True)
    return winning["place"].to_numpy().astype(np.int64)


def _by_precedence(rows: pl.DataFrame, *first: str) -> pl.DataFrame:
    """Sort by the columns `first`, then so that the winning row comes last."""
    steps = [(column, each) for each in PRECEDENCE for column in each.columns if column not in first]
    descending = [*(False for _ in first), *(not each.greater_wins for _, each in steps)]
    return rows.sort(*first, *(column for column, _ in steps), descending=descending, nulls_last=False)
