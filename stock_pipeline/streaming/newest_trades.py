"""The trades of a batch that can change the realtime state: the newest of each symbol and feed."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stock_pipeline.domain.conditions import is_last_eligible
from stock_pipeline.domain.symbol_state import ELIGIBLE_CAPACITY, SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.trade_table import array_of, codes_of, int32_values, int64_values, trades_of_table

_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NewestTrades:
    """Newest trades of one symbol and feed. first_record: index of the first record with trades of theirs."""

    key: SymbolKey
    trades: tuple[Trade, ...]
    first_record: int


def newest_trades(table: pa.Table, record_of_row: _Numbers, capacity: int) -> list[NewestTrades]:
    """Return, for each symbol and feed, the rows that could enter a window of `capacity` trades.

    Merging them into a state gives the same as merging all rows: they have the newest `capacity` event ids, and the
    newest that bear on the last eligible price, with every version of one time and sequence. Ingest times are zero,
    because states have none.
    """
    if not table.num_rows:
        return []
    group = _group_numbers(table)
    event_time_ns, sequence = int64_values(table["event_time_ns"]), int64_values(table["sequence"])
    newest_first = np.lexsort((-sequence, -event_time_ns, group))
    starts = _starts(group[newest_first])
    first_records = np.minimum.reduceat(record_of_row[newest_first], starts)

    if np.diff(starts, append=len(group)).max() > capacity:
        order = _Order(group, event_time_ns, sequence, codes_of(table["event_id"]))
        needed = order.newest(newest_first, capacity)
        may_be_last = np.flatnonzero(_may_be_last(table)[newest_first])
        needed[may_be_last] |= order.newest(newest_first[may_be_last], ELIGIBLE_CAPACITY)
        newest_first = newest_first[needed]
        starts = _starts(group[newest_first])

    trades = trades_of_table(_without_ingest_time(table.take(array_of(newest_first, pa.int64()))))
    ends = [*starts[1:].tolist(), len(trades)]
    return [
        NewestTrades(SymbolKey(trades[start].symbol, trades[start].feed), tuple(trades[start:end]), first)
        for start, end, first in zip(starts.tolist(), ends, first_records.tolist(), strict=True)
    ]


class _Order(NamedTuple):
    """What the order of a table's rows follows from."""

    group: _Numbers
    event_time_ns: _Numbers
    sequence: _Numbers
    event_id: _Numbers

    def newest(self, newest_first: _Numbers, capacity: int) -> npt.NDArray[np.bool_]:
        """Tell which of these rows, newest first in each group, may be among the newest `capacity` ids of theirs."""
        if not len(newest_first):
            return np.empty(0, bool)
        group = self.group[newest_first]
        instants = _starts(group, self.event_time_ns[newest_first], self.sequence[newest_first])
        newer = _distinct_before(group, self.event_id[newest_first], _starts(group))
        # rows of one time and sequence stay together, because among them the event id decides
        return np.repeat(newer[instants] < capacity, np.diff(instants, append=len(group)))


def _may_be_last(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Vectorised `domain.symbol_state.may_be_last`."""
    names = ["conditions", "tape", "capture_mode"]
    prints = np.zeros(table.num_rows, np.int64)
    for name in names:
        codes = codes_of(table[name])
        prints = prints * (int(codes.max()) + 1) + codes
    _, places, inverse = np.unique(prints, return_index=True, return_inverse=True)
    distinct = table.select(names).take(array_of(places.astype(np.int64), pa.int64()))
    rows = list(zip(*(distinct[name].to_pylist() for name in names), strict=True))
    eligible = np.array([is_last_eligible(conditions, tape) for conditions, tape, _ in rows], bool)[inverse]
    # a quote has no volume, and its price counts
    quoted = np.array([mode == "quote" for _, _, mode in rows], bool)[inverse]
    has_shares = (int64_values(table["volume"]) != 0) | (int32_values(table["volume_fraction"]) != 0)
    result: npt.NDArray[np.bool_] = eligible & (quoted | has_shares) | (int32_values(table["version"]) > 0)
    return result


def _group_numbers(table: pa.Table) -> _Numbers:
    """Number the rows, alike for one symbol and feed."""
    symbol, feed = codes_of(table["symbol"]), codes_of(table["feed"])
    return symbol * (int(feed.max()) + 1) + feed


def _without_ingest_time(table: pa.Table) -> pa.Table:
    place = table.schema.get_field_index("ingest_time")
    zeros = array_of(np.zeros(table.num_rows, np.int64), table.schema.field(place).type)
    return table.set_column(place, table.schema.field(place), zeros)


def _starts(*columns: _Numbers) -> _Numbers:
    """Return where each run of equal rows begins."""
    differs = np.ones(len(columns[0]), bool)
    differs[1:] = False
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def _distinct_before(group: _Numbers, event_id: _Numbers, starts: _Numbers) -> _Numbers:
    """Count for each row the distinct event ids before it in its group. starts: where groups begin."""
    first_of_id = np.zeros(len(group), bool)
    first_of_id[np.unique(group * (int(event_id.max()) + 1) + event_id, return_index=True)[1]] = True
    before: _Numbers = np.cumsum(first_of_id) - first_of_id
    before -= np.repeat(before[starts], np.diff(starts, append=len(group)))
    return before
