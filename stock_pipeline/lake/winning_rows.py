"""Chooses the winning row of each event id, by `domain.trade.PRECEDENCE`.

A redelivery or a correction has its original's symbol, time and sequence, so sorting makes them neighbours. A wrong
source may give a known event id another symbol or time. Such rows can lie anywhere: they are found by hash, and the
losing ones dropped before sorting.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from stock_pipeline.domain.trade import LAKE_ORDER, PRECEDENCE
from stock_pipeline.lake.packed_rows import Packing


class Chosen(NamedTuple):
    """The winning rows of some, in the lake's order, and the losing ones; `beat` has the rows that beat these."""

    winning: pl.DataFrame
    losing: pl.DataFrame
    beat: pl.DataFrame


def choose_rows(packed: pl.DataFrame, packing: Packing) -> Chosen:
    """Sort in the lake's order, and keep the winning row of neighbours with one event id."""
    keys = packing.sort_keys(packed)
    order = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    if not same.any():
        return Chosen(packed[order], packed.clear(), packed.clear())
    tied = np.zeros(len(order), bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    rows, keys_of_rows = packed[order[places]], keys[order[places]]
    chosen = _resolved(rows, keys_of_rows, packing)
    # winning rows take the first places of their key; the places left over are those of losing rows
    starts = np.concatenate([[True], keys_of_rows[1:] != keys_of_rows[:-1]])
    group_of_place = np.cumsum(starts) - 1
    group_of_chosen = group_of_place[chosen]
    first_place = np.flatnonzero(starts)
    rank_in_group = np.arange(len(chosen)) - np.searchsorted(group_of_chosen, group_of_chosen)
    kept = np.full(len(order), -1, np.int64)
    kept[~tied] = order[~tied]
    kept[places[first_place[group_of_chosen] + rank_in_group]] = order[places[chosen]]
    loses = np.ones(len(places), bool)
    loses[chosen] = False
    return Chosen(packed[kept[kept >= 0]], rows.filter(loses), rows[chosen])


def choose_of_contested(contested: pl.DataFrame, packing: Packing) -> Chosen:
    """Choose among every row of some event ids, wherever they lie.

    Losing are the rows that have other values of `LAKE_ORDER` than the winning one; those with the same values are its
    neighbours.
    """
    rows = packing.readable(contested).with_row_index("row")
    winning = _by_precedence(rows, "event_id").unique("event_id", keep="last", maintain_order=True)
    losing = rows.join(winning.select(LAKE_ORDER), on=LAKE_ORDER, how="anti")
    return Chosen(contested[winning["row"]], contested[losing["row"]], contested[winning["row"]])


def drop_rows(packed: pl.DataFrame, losing: pl.DataFrame) -> pl.DataFrame:
    """Drop the rows whose columns of `LAKE_ORDER` are among `losing`."""
    return packed.join(losing, on=LAKE_ORDER, how="anti", maintain_order="left")


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
