"""The trades of a batch that can matter to the realtime state: the newest of each symbol and feed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.trade_table import trades_of_table


@dataclass(frozen=True, slots=True)
class NewestTrades:
    """The newest trades of one symbol and feed, and the first of the batch's records that touches them."""

    key: SymbolKey
    trades: tuple[Trade, ...]
    first_record: int


def newest_trades(table: pa.Table, record_of_row: npt.NDArray[np.int64], capacity: int) -> list[NewestTrades]:
    """For each symbol and feed of the batch, the rows that could enter a window of `capacity` trades.

    They hold the newest `capacity` distinct event ids with every version of each that shares its time and
    sequence; merging them into a state gives what merging all rows would give.
    """
    if not table.num_rows:
        return []
    group = _group_numbers(table)
    event_time_ns = table["event_time_ns"].to_numpy()
    sequence = table["sequence"].to_numpy()
    order = np.lexsort((sequence, event_time_ns, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    ends = np.append(starts[1:], len(order))

    chosen: list[npt.NDArray[np.int64]] = []
    event_ids = table["event_id"]
    for start, end in zip(starts, ends, strict=True):
        rows = order[start:end]
        if len(rows) > capacity:
            rows = rows[_first_needed(rows, event_ids, event_time_ns, sequence, capacity) :]
        chosen.append(rows)

    trades = trades_of_table(table.take(np.concatenate(chosen)))
    result = []
    offset = 0
    for rows, start, end in zip(chosen, starts, ends, strict=True):
        newest = tuple(trades[offset : offset + len(rows)])
        offset += len(rows)
        key = SymbolKey(newest[0].symbol, newest[0].feed)
        result.append(NewestTrades(key, newest, int(record_of_row[order[start:end]].min())))
    return result


def _group_numbers(table: pa.Table) -> npt.NDArray[np.int64]:
    """A number per row that is equal for rows of one symbol and feed."""
    symbol = _codes(table["symbol"])
    feed = _codes(table["feed"])
    return symbol * (int(feed.max()) + 1) + feed


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    codes: npt.NDArray[np.int64] = pc.dictionary_encode(column.combine_chunks()).indices.to_numpy().astype(np.int64)
    return codes


def _first_needed(
    rows: npt.NDArray[np.int64],
    event_ids: pa.ChunkedArray,
    event_time_ns: npt.NDArray[np.int64],
    sequence: npt.NDArray[np.int64],
    capacity: int,
) -> int:
    """Where the needed rows begin in `rows`, which are sorted by time and sequence.

    Walks from the newest back until `capacity` distinct ids are found, and on through all rows of that very time and
    sequence, among which the event id decides.
    """
    seen: set[str] = set()
    for position in range(len(rows) - 1, -1, -1):
        row = rows[position]
        if len(seen) >= capacity:
            newer = rows[position + 1]
            if (event_time_ns[row], sequence[row]) != (event_time_ns[newer], sequence[newer]):
                return position + 1
        seen.add(event_ids[int(row)].as_py())
    return 0
