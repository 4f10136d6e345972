"""The trades of a batch that can change the realtime state: the newest of each symbol and feed."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stock_pipeline.domain.conditions import is_last_eligible
from stock_pipeline.domain.symbol_state import ELIGIBLE_CAPACITY, SymbolKey, SymbolState
from stock_pipeline.domain.trade import ABSENT_VOLUME, Trade
from stock_pipeline.state.rows import (
    COLUMNS,
    EVENT_TIME,
    FRACTION,
    KIND,
    NO_ROWS,
    PRICE,
    SEQUENCE,
    VERSION,
    VOLUME,
    Kind,
    Kinds,
    Numbers,
    StateRows,
    rows_concatenated,
    rows_of_trades,
    texts,
    trades_of_rows,
)
from stock_pipeline.trade_table import (
    array_of,
    codes_of,
    int32_values,
    int64_values,
    int64_values_or,
    price_units_of,
    texts_of,
)


class NewestRows(NamedTuple):
    """The newest rows of several symbols.

    keys, first_records: of each symbol, its key and the index of the first record with trades of it.
    rows, group: the rows by symbol, and the number of each row's symbol.
    kinds: of the rows.
    """

    keys: Sequence[SymbolKey]
    first_records: Sequence[int]
    rows: StateRows
    group: Numbers
    kinds: Kinds

    def trades(self) -> Iterator[tuple[SymbolKey, tuple[Trade, ...]]]:
        """Yield each symbol's rows as trades, without ingest times."""
        for number, key in enumerate(self.keys):
            rows = self.rows.take(np.flatnonzero(self.group == number))
            yield key, trades_of_rows(key, rows, self.kinds)


def rows_of_states(states: Sequence[SymbolState]) -> NewestRows:
    """Return the rows of states as if they had come in one record."""
    kinds = Kinds()
    rows = [rows_of_trades(state.rows, kinds) for state in states]
    group = np.repeat(np.arange(len(states)), [each.count for each in rows])
    return NewestRows([state.key for state in states], [0] * len(states), rows_concatenated(rows), group, kinds)


def newest_rows(table: pa.Table, record_of_row: Numbers, capacity: int) -> NewestRows:
    """Return, for each symbol and feed, the rows that could enter a window of `capacity` trades.

    Merging them into a state gives the same as merging all rows: they have the newest `capacity` event ids, and the
    newest that bear on the last eligible price, with every version of one time and sequence.
    """
    if not table.num_rows:
        return NewestRows((), (), NO_ROWS, np.empty(0, np.int64), Kinds())
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

    kinds = Kinds()
    needed_rows = table.take(array_of(newest_first, pa.int64()))
    firsts = needed_rows.select(["symbol", "feed"]).take(array_of(starts, pa.int64()))
    keys = map(SymbolKey, firsts["symbol"].to_pylist(), firsts["feed"].to_pylist())
    ends = np.diff(starts, append=needed_rows.num_rows)
    group = np.repeat(np.arange(len(starts)), ends)
    return NewestRows(list(keys), first_records.tolist(), _state_rows(needed_rows, kinds), group, kinds)


def _state_rows(table: pa.Table, kinds: Kinds) -> StateRows:
    places, number_of_row = _distinct(table, list(Kind._fields))
    distinct = table.select(Kind._fields).take(array_of(places, pa.int64())).to_pylist()
    kind = np.array([kinds.number(*row.values()) for row in distinct], np.int64)[number_of_row]
    numbers = np.empty((len(COLUMNS), table.num_rows), np.int64)
    numbers[EVENT_TIME] = int64_values(table["event_time_ns"])
    numbers[SEQUENCE] = int64_values(table["sequence"])
    numbers[VERSION] = int32_values(table["version"])
    numbers[PRICE] = price_units_of(table["price"])
    numbers[VOLUME] = int64_values_or(table["volume"], ABSENT_VOLUME)
    numbers[FRACTION] = int32_values(table["volume_fraction"])
    numbers[KIND] = kind
    return StateRows(numbers, texts(texts_of(table["event_id"])))


class _Order(NamedTuple):
    """What the order of a table's rows follows from."""

    group: Numbers
    event_time_ns: Numbers
    sequence: Numbers
    event_id: Numbers

    def newest(self, newest_first: Numbers, capacity: int) -> npt.NDArray[np.bool_]:
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
    places, inverse = _distinct(table, names)
    distinct = table.select(names).take(array_of(places, pa.int64()))
    rows = list(zip(*(distinct[name].to_pylist() for name in names), strict=True))
    eligible = np.array([is_last_eligible(conditions, tape) for conditions, tape, _ in rows], bool)[inverse]
    # a quote has no volume, and its price counts
    quoted = np.array([mode == "quote" for _, _, mode in rows], bool)[inverse]
    has_shares = (int64_values(table["volume"]) != 0) | (int32_values(table["volume_fraction"]) != 0)
    result: npt.NDArray[np.bool_] = eligible & (quoted | has_shares) | (int32_values(table["version"]) > 0)
    return result


def _distinct(table: pa.Table, names: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Return places of rows that are distinct in these columns, and for each row the number of its like."""
    numbers = np.zeros(table.num_rows, np.int64)
    for name in names:
        codes = codes_of(table[name])
        numbers = numbers * (int(codes.max()) + 1) + codes
    _, places, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return places.astype(np.int64), inverse.astype(np.int64)


def _group_numbers(table: pa.Table) -> Numbers:
    """Number the rows, alike for one symbol and feed."""
    symbol, feed = codes_of(table["symbol"]), codes_of(table["feed"])
    return symbol * (int(feed.max()) + 1) + feed


def _starts(*columns: Numbers) -> Numbers:
    """Return where each run of equal rows begins."""
    differs = np.ones(len(columns[0]), bool)
    differs[1:] = False
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def _distinct_before(group: Numbers, event_id: Numbers, starts: Numbers) -> Numbers:
    """Count for each row the distinct event ids before it in its group. starts: where groups begin."""
    first_of_id = np.zeros(len(group), bool)
    first_of_id[np.unique(group * (int(event_id.max()) + 1) + event_id, return_index=True)[1]] = True
    before: Numbers = np.cumsum(first_of_id) - first_of_id
    before -= np.repeat(before[starts], np.diff(starts, append=len(group)))
    return before
