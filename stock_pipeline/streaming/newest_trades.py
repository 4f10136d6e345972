"""The trades of a batch that can change the realtime state: the newest of each symbol and feed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.trade_table import array_of, codes_of, int64_values, trades_of_table

_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NewestTrades:
    """Newest trades of one symbol and feed. first_record: index of the first record with trades of theirs."""

    key: SymbolKey
    trades: tuple[Trade, ...]
    first_record: int


def newest_trades(table: pa.Table, record_of_row: _Numbers, capacity: int) -> list[NewestTrades]:
    """Return, for each symbol and feed, the rows that could enter a window of `capacity` trades.

    Merging them into a state gives the same as merging all rows: they have the newest `capacity` event ids, with every
    version of one time and sequence. Ingest times are zero, because states have none.
    """
    if not table.num_rows:
        return []
    group = _group_numbers(table)
    event_time_ns, sequence = int64_values(table["event_time_ns"]), int64_values(table["sequence"])
    newest_first = np.lexsort((-sequence, -event_time_ns, group))
    starts = _starts(group[newest_first])
    first_records = np.minimum.reduceat(record_of_row[newest_first], starts)

    if np.diff(starts, append=len(group)).max() > capacity:
        instants = _starts(group[newest_first], event_time_ns[newest_first], sequence[newest_first])
        newer = _distinct_before(group[newest_first], codes_of(table["event_id"])[newest_first], starts)
        # rows of one time and sequence stay together, because among them the event id decides
        needed = np.repeat(newer[instants] < capacity, np.diff(instants, append=len(group)))
        newest_first = newest_first[needed]
        starts = _starts(group[newest_first])

    trades = trades_of_table(_without_ingest_time(table.take(array_of(newest_first, pa.int64()))))
    ends = [*starts[1:].tolist(), len(trades)]
    return [
        NewestTrades(SymbolKey(trades[start].symbol, trades[start].feed), tuple(trades[start:end]), first)
        for start, end, first in zip(starts.tolist(), ends, first_records.tolist(), strict=True)
    ]


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
