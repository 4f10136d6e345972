"""What items show of merged rows, for all symbols of a batch at once: `SymbolState`'s figures, vectorised."""

from collections.abc import Iterator, Sequence

import numpy as np

from stock_pipeline.domain.conditions import is_last_eligible, is_paid
from stock_pipeline.domain.feed_session import session_rule
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import EFFECTIVE_STATUSES
from stock_pipeline.state.rows import (
    EVENT_TIME,
    FRACTION,
    KIND,
    PRICE,
    VOLUME,
    Kinds,
    NewState,
    Numbers,
    ShownAverage,
    ShownPrint,
    StateRows,
    revision_of_rows,
    volume_of,
)
from stock_pipeline.streaming.state_merge import Flags, Merged, Places, has_shares, kind_flags
from stock_pipeline.trade_table import session_days_of_rule

MAX_INT64 = 2**63 - 1


def changed_states(
    merged: Merged, keys: Sequence[SymbolKey], kinds: Kinds, average_windows: tuple[int, ...]
) -> Iterator[tuple[int, NewState]]:
    """Yield the number and new state of each symbol that changed. keys: of the groups."""
    rows, group = merged.rows, merged.group
    effective = [kind.status in EFFECTIVE_STATUSES and is_paid(kind.conditions, kind.tape) for kind in kinds.known]
    is_paid_row = kind_flags(kinds, effective, rows) & has_shares(rows)
    last = [is_last_eligible(kind.conditions, kind.tape) for kind in kinds.known]
    is_last_row = is_paid_row & kind_flags(kinds, last, rows)

    paid = merged.window[is_paid_row[merged.window]]
    days = _session_days(rows, group[paid], paid, keys)
    averages = _Averages(rows, group[paid], paid, days, average_windows)
    groups = np.arange(len(keys) + 1)
    windows, olders, ends_of_paid = (
        np.searchsorted(group[places], groups).tolist() for places in (merged.window, merged.older, paid)
    )
    last_eligible = _last_of_each(merged, is_last_row, len(keys))
    for number in np.flatnonzero(merged.changed).tolist():
        window = rows.take(merged.window[windows[number] : windows[number + 1]])
        older = rows.take(merged.older[olders[number] : olders[number + 1]])
        first, end = ends_of_paid[number : number + 2]
        place = last_eligible[number]
        yield (
            number,
            NewState(
                key=keys[number],
                revision=revision_of_rows(older, window, kinds),
                window=window,
                older=older,
                kinds=kinds,
                latest=_shown(rows, int(paid[end - 1]), kinds) if end > first else None,
                last_eligible=_shown(rows, place, kinds) if place >= 0 else None,
                session_day=int(days[end - 1]) if end > first else None,
                averages=averages.of(first, end),
            ),
        )


class _Averages:
    """Averages of paid rows by running sums, which are taken modulo 2**64: their differences are exact if they fit."""

    def __init__(
        self, rows: StateRows, group: Numbers, paid: Places, days: Numbers, average_windows: tuple[int, ...]
    ) -> None:
        self.average_windows = average_windows
        self._prices = rows.numbers[PRICE][paid]
        sums = np.zeros(len(paid) + 1, np.int64)
        np.cumsum(self._prices, out=sums[1:])
        fits = not len(paid) or int(self._prices.max()) <= MAX_INT64 // max(average_windows)
        self._sums = sums.tolist() if fits else None
        begins = np.ones(len(paid), bool)
        begins[1:] = (group[1:] != group[:-1]) | (days[1:] != days[:-1])
        starts = np.flatnonzero(begins)
        self._session_start = starts[np.cumsum(begins) - 1].tolist()

    def of(self, first: int, end: int) -> list[ShownAverage]:
        """Return the averages of one symbol's newest session. first, end: of its rows among the paid."""
        if end == first:
            return []
        count = end - self._session_start[end - 1]
        shown = []
        for length in self.average_windows:
            trades = min(length, count)
            shown.append(ShownAverage(length, _half_even(self._sum(end - trades, end), trades), trades))
        return shown

    def _sum(self, start: int, end: int) -> int:
        if self._sums is None:
            return sum(self._prices[start:end].tolist())
        return int(self._sums[end] - self._sums[start]) % 2**64


def _half_even(total: int, count: int) -> int:
    quotient, rest = divmod(total, count)
    return quotient + (2 * rest > count or (2 * rest == count and quotient % 2 == 1))


def _session_days(rows: StateRows, group: Numbers, places: Places, keys: Sequence[SymbolKey]) -> Numbers:
    """Return the session of each row at these places, by the rule of its feed. group: of the places."""
    times = rows.numbers[EVENT_TIME][places]
    rules = [session_rule(key.feed) for key in keys]
    days = np.empty(len(places), np.int64)
    for rule in set(rules):
        of_rule = np.array([each is rule for each in rules], bool)[group]
        days[of_rule] = session_days_of_rule(times[of_rule], rule)
    return days


def _last_of_each(merged: Merged, flags: Flags, groups: int) -> list[int]:
    """Return for each group the place of the newest flagged row that stays, or -1."""
    staying = np.concatenate([merged.window, merged.older])
    places = staying[flags[staying]]
    rank = np.empty(merged.rows.count, np.int64)
    rank[merged.order] = np.arange(merged.rows.count)
    newest = np.full(groups, -1, np.int64)
    np.maximum.at(newest, merged.group[places], rank[places])
    return [int(merged.order[number]) if number >= 0 else -1 for number in newest.tolist()]


def _shown(rows: StateRows, place: int, kinds: Kinds) -> ShownPrint:
    numbers = rows.numbers[:, place].tolist()
    kind = kinds.known[numbers[KIND]]
    return ShownPrint(
        event_time_ns=numbers[EVENT_TIME],
        event_id=rows.event_ids[place],
        price=numbers[PRICE],
        volume=volume_of(numbers[VOLUME], numbers[FRACTION]),
        exchange=kind.exchange,
        conditions=kind.conditions,
    )
