"""Merging the rows of all symbols of a batch into their states at once: `SymbolState.merged_with`, vectorised.

Times, prices and volumes are integers, so nothing is rounded. Only rows whose event id comes twice are compared by the
whole precedence, one by one: they are few, unless a batch comes again.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stock_pipeline.domain.conditions import is_last_eligible
from stock_pipeline.domain.symbol_state import ELIGIBLE_CAPACITY
from stock_pipeline.state.rows import (
    EVENT_TIME,
    FRACTION,
    KIND,
    SEQUENCE,
    VERSION,
    VOLUME,
    Kinds,
    Numbers,
    StateRows,
    rows_concatenated,
)

Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


class GroupedRows(NamedTuple):
    """Rows of several symbols. group: the number of each row's symbol."""

    rows: StateRows
    group: Numbers


class Merged(NamedTuple):
    """States after a merge.

    rows, group: all rows, held and arrived.
    order: places of all rows, by group, oldest first.
    window, older: places of the rows that stay, by group, oldest first.
    changed: for each group, whether its state is another than the held one.
    """

    rows: StateRows
    group: Numbers
    order: Places
    window: Places
    older: Places
    changed: Flags


def merged_rows(
    window: GroupedRows, older: GroupedRows, arrived: GroupedRows, groups: int, kinds: Kinds, capacity: int
) -> Merged:
    """Merge arrived rows into the held ones of `groups` symbols. Held rows are in order and have no id twice."""
    parts = (window, older, arrived)
    rows = rows_concatenated([part.rows for part in parts])
    group = np.concatenate([part.group for part in parts])
    is_window = np.arange(rows.count) < window.rows.count
    is_arrived = np.arange(rows.count) >= rows.count - arrived.rows.count
    bears_on_last = _may_be_last(rows, kinds)
    repeats = _Repeats(rows, group, window.rows.count, is_window | is_arrived, bears_on_last, kinds)

    order = _in_order(rows, group)
    new_window = _newest(order[repeats.in_window[order]], group, capacity)
    stays = np.zeros(rows.count, bool)
    stays[new_window] = True
    eligible = _newest(order[repeats.in_eligible[order]], group, ELIGIBLE_CAPACITY)
    new_older = eligible[~stays[repeats.equal_row[eligible]]]

    changed = np.zeros(groups, bool)
    changed[group[new_window[~is_window[new_window]]]] = True
    changed[group[new_older[is_window[new_older] | is_arrived[new_older]]]] = True
    changed |= _counts(group[new_window], groups) != _counts(window.group, groups)
    changed |= _counts(group[new_older], groups) != _counts(older.group, groups)
    return Merged(rows, group, order, new_window, new_older, changed)


def kind_flags(kinds: Kinds, flags: list[bool], rows: StateRows) -> Flags:
    """Return for each row the flag of its kind."""
    result: Flags = np.array(flags, bool)[rows.numbers[KIND]] if kinds.known else np.empty(0, bool)
    return result


def has_shares(rows: StateRows) -> Flags:
    """Tell of each row if it is not a print of no shares. A quote, whose volume is not known, is none."""
    result: Flags = (rows.numbers[VOLUME] != 0) | (rows.numbers[FRACTION] != 0)
    return result


def _may_be_last(rows: StateRows, kinds: Kinds) -> Flags:
    """Vectorised `domain.symbol_state.may_be_last`."""
    eligible = kind_flags(kinds, [is_last_eligible(kind.conditions, kind.tape) for kind in kinds.known], rows)
    result: Flags = (rows.numbers[VERSION] > 0) | (has_shares(rows) & eligible)
    return result


class _Repeats:
    """Which row of each event id stands.

    in_window: whether a row stands among those of the window and the arrived ones.
    in_eligible: whether it stands among all rows that bear on the last eligible price.
    equal_row: a row's own place, or that of an equal row which stands in the window.
    """

    def __init__(
        self, rows: StateRows, group: Numbers, held: int, of_window: Flags, bears_on_last: Flags, kinds: Kinds
    ) -> None:
        self.in_window = of_window.copy()
        self.in_eligible = bears_on_last.copy()
        self.equal_row = np.arange(rows.count)
        ids = rows.event_ids.tolist()
        others = set(ids[held:])
        suspects = [place for place, event_id in enumerate(ids[:held]) if event_id in others]
        suspects += range(held, rows.count)
        by_id: dict[tuple[int, str], list[int]] = {}
        for place, number in zip(suspects, group[suspects].tolist(), strict=True):
            by_id.setdefault((number, ids[place]), []).append(place)
        for places in by_id.values():
            if len(places) > 1:
                self._choose(places, rows, of_window, bears_on_last, kinds)

    def _choose(self, places: list[int], rows: StateRows, of_window: Flags, bears: Flags, kinds: Kinds) -> None:
        keys = {place: _precedence(rows, place, kinds) for place in places}
        # the first of equals is the held one
        standing = max((place for place in places if of_window[place]), key=keys.__getitem__, default=None)
        eligible = max((place for place in places if bears[place]), key=keys.__getitem__, default=None)
        self.in_window[places] = False
        self.in_eligible[places] = False
        if standing is not None:
            self.in_window[standing] = True
        if eligible is not None:
            self.in_eligible[eligible] = True
            if standing is not None and keys[standing] == keys[eligible]:
                self.equal_row[eligible] = standing


def _precedence(rows: StateRows, place: int, kinds: Kinds) -> tuple[object, ...]:
    """Return `domain.trade.precedence` of a row, without what all rows of a symbol share."""
    event_time_ns, sequence, version, price, volume, fraction, number = rows.numbers[:, place].tolist()
    kind = kinds.known[number]
    return (event_time_ns, sequence, version, kind.status, price, volume, fraction, *kind[1:])


def _in_order(rows: StateRows, group: Numbers) -> Places:
    """Return all places by group, and in a group by `domain.trade.OrderKey`."""
    time, sequence = rows.numbers[EVENT_TIME], rows.numbers[SEQUENCE]
    order = np.lexsort((sequence, time, group))
    g, t, s = group[order], time[order], sequence[order]
    same = (g[1:] == g[:-1]) & (t[1:] == t[:-1]) & (s[1:] == s[:-1])
    if not same.any():
        return order
    tied = np.append(same, False) | np.append(False, same)
    places = order[tied]
    ids = rows.event_ids[places]
    rank = {event_id: number for number, event_id in enumerate(sorted(set(ids.tolist())))}
    ranks = np.fromiter((rank[event_id] for event_id in ids.tolist()), np.int64, len(ids))
    order[tied] = places[np.lexsort((ranks, s[tied], t[tied], g[tied]))]
    return order


def _newest(places: Places, group: Numbers, capacity: int) -> Places:
    """Return the last `capacity` places of each group. places: by group, in order."""
    groups = group[places]
    if not len(groups):
        return places
    ends = np.flatnonzero(np.append(groups[1:] != groups[:-1], True)) + 1
    ends_of_rows = np.repeat(ends, np.diff(ends, prepend=0))
    return places[np.arange(len(places)) >= ends_of_rows - capacity]


def _counts(group: Numbers, groups: int) -> Numbers:
    return np.bincount(group, minlength=groups)
