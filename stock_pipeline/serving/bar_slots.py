"""Bars as columns of numbers, one slot a bar, that batches of trades are merged into.

Prices are whole millionths of a dollar. A slot keeps time and sequence of its first and last price, so that a trade
that comes late finds its place. What counts belongs to `trade_rows`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

MOST = np.iinfo(np.int64).max
TURNOVER_PARTS = 10**18
"""Parts of a million dollars in a turnover: millionths of a price by millionths of a share."""

SHARE_PARTS = 10**6

EMPTY = {
    "first_ns": MOST,
    "first_sequence": MOST,
    "first_price": 0,
    "last_ns": -1,
    "last_sequence": -1,
    "last_price": 0,
    "alone_ns": MOST,
    "alone_sequence": MOST,
    "alone_price": 0,
    "latest_ns": -1,
    "latest_sequence": -1,
    "latest_price": 0,
    "eligible_ns": -1,
    "eligible_sequence": -1,
    "eligible_price": 0,
    "high": -1,
    "low": MOST,
    "rows": 0,
    "trades": 0,
    "shares": 0,
    "share_parts": 0,
    "priced_shares": 0,
    "priced_share_parts": 0,
    "turnover": 0,
    "turnover_parts": 0,
}
"""Columns, with the value of a slot that has no trades. `latest` is of any execution, `eligible` of those that the tape
takes for a last price. `first` and `last` may open or close the bar; `alone` is the first that may be high or low.
"""

_ENDS = {"first": False, "last": True, "alone": False, "latest": True, "eligible": True}
"""Prices by their place in time: whether the later one stands."""

COLUMNS = tuple(EMPTY)
SUMS = COLUMNS[COLUMNS.index("rows") :]
PRICED = ("first", "last", "alone")
PRICED_SUMS = SUMS[SUMS.index("priced_shares") :]
"""Of a day's bar, these come from the minutes that make its prices."""

_Index = npt.NDArray[np.int64]

_PLACES = {name: place for place, name in enumerate(COLUMNS)}
_EMPTY = np.array(list(EMPTY.values()), np.int64)[:, np.newaxis]


class BarSlots:
    """Slots 0 to `size`, which grow by doubling."""

    def __init__(self) -> None:
        self.size = 0
        self._table = np.empty((len(COLUMNS), 16), np.int64)

    def __getitem__(self, column: str) -> npt.NDArray[np.int64]:
        row: npt.NDArray[np.int64] = self._table[_PLACES[column]]
        return row

    def grow(self, size: int) -> None:
        if size <= self.size:
            return
        before = room = self._table.shape[1]
        while room < size:
            room *= 2
        if room != before:
            wider = np.empty((len(COLUMNS), room), np.int64)
            wider[:, :before] = self._table
            self._table = wider
        # slots that nobody has yet stay untouched, so they take no memory
        self._table[:, self.size : size] = _EMPTY
        self.size = size

    def clear(self, slots: _Index) -> None:
        self._table[:, slots] = _EMPTY

    def rows(self, slots: _Index) -> Iterator[dict[str, int]]:
        """Return slots by column.

        Read all at once, because a number at a time costs fifty times as much. Made one by one, because thousands of
        dicts that live together are looked through by the garbage collector, which takes as long as all else.
        """
        for values in zip(*self._table[:, slots].tolist(), strict=True):
            yield dict(zip(COLUMNS, values, strict=True))

    def merge(self, slots: _Index, found: dict[str, Any]) -> npt.NDArray[np.bool_]:
        """Merge one partial bar into each of the distinct slots.

        Returns where two trades of one time and sequence contend for first or last: their ids decide, which nobody
        keeps, so that bar has to be made anew from the files.
        """
        contended = np.zeros(len(slots), np.bool_)
        for what, later in _ENDS.items():
            contended |= self._take(slots, found, what, later)
        self["high"][slots] = np.maximum(self["high"][slots], found["high"])
        self["low"][slots] = np.minimum(self["low"][slots], found["low"])
        for name in SUMS:
            self[name][slots] += found[name]
        self._carry(slots, "shares", "share_parts", SHARE_PARTS)
        self._carry(slots, "priced_shares", "priced_share_parts", SHARE_PARTS)
        self._carry(slots, "turnover", "turnover_parts", TURNOVER_PARTS)
        return contended

    def combined(self, slots: _Index, priced: _Index) -> dict[str, Any]:
        """Return the partial bar of several slots in the order of time, as `merge` takes it.

        priced: those of the slots that make the prices.
        """
        result: dict[str, Any] = {}
        for what, later in _ENDS.items():
            some = priced if what in PRICED else slots
            some = some[self[f"{what}_ns"][some] != EMPTY[f"{what}_ns"]]
            for part in ("ns", "sequence", "price"):
                name = f"{what}_{part}"
                result[name] = np.array([self[name][some[-1 if later else 0]] if len(some) else EMPTY[name]])
        result["high"] = np.array([self["high"][priced].max(initial=-1)])
        result["low"] = np.array([self["low"][priced].min(initial=MOST)])
        for name in SUMS:
            result[name] = np.array([self[name][priced if name in PRICED_SUMS else slots].sum()])
        # parts of a turnover of so many minutes are beyond int64
        parts = sum(self["turnover_parts"][priced].tolist())
        result["turnover"] += parts // TURNOVER_PARTS
        result["turnover_parts"] = np.array([parts % TURNOVER_PARTS])
        return result

    def _take(self, slots: _Index, found: dict[str, Any], what: str, later: bool) -> npt.NDArray[np.bool_]:
        ns, sequence, price = (f"{what}_{part}" for part in ("ns", "sequence", "price"))
        mine_ns, mine_sequence = self[ns][slots], self[sequence][slots]
        there = found[ns] != EMPTY[ns]
        same_ns = found[ns] == mine_ns
        ahead = (found[ns] > mine_ns) if later else (found[ns] < mine_ns)
        ahead |= same_ns & ((found[sequence] > mine_sequence) if later else (found[sequence] < mine_sequence))
        wins = there & ahead
        for name in (ns, sequence, price):
            self[name][slots[wins]] = found[name][wins]
        contends = there & same_ns & (found[sequence] == mine_sequence) & (found[price] != self[price][slots])
        return np.asarray(contends)

    def _carry(self, slots: _Index, whole: str, parts: str, unit: int) -> None:
        self[whole][slots] += self[parts][slots] // unit
        self[parts][slots] %= unit
