"""A batch's newest trades into the stored states."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import DamagedItemError, RetryableError, StateConflictError
from stock_pipeline.state.rows import NO_ROWS, NewState, StateRows, rows_concatenated
from stock_pipeline.state.stored_item import StoredItem
from stock_pipeline.streaming.batch_report import StateResult
from stock_pipeline.streaming.held_items import HeldItems
from stock_pipeline.streaming.newest_trades import NewestRows
from stock_pipeline.streaming.patience import ATTEMPTS, Patience, in_threads
from stock_pipeline.streaming.ports import StateStore
from stock_pipeline.streaming.state_figures import changed_states
from stock_pipeline.streaming.state_merge import GroupedRows, merged_rows

KEYS_A_READ = 100
"""What one call of BatchGetItem takes."""

FAILURES_OF_ALL = 20
"""If so many symbols fail before one succeeds, the table is at fault, and no other is tried."""


class _Group(NamedTuple):
    """A symbol of the batch. number: its place in `NewestRows.keys`."""

    first_record: int
    number: int
    key: SymbolKey


@dataclass
class _Progress:
    """What the threads share: lists, because threads append to them safely.

    written, conflicts, succeeded: an entry each.
    held: symbols whose items were not read, because they were held.
    away: the table's refusal; nothing more is tried, because the next call would be refused too.
    unfinished: first records of symbols that are not written.
    why: the last reason of one.
    failed: groups with an error that is no matter of time.
    """

    stored: dict[SymbolKey, StoredItem] = field(default_factory=dict)
    written: list[SymbolKey] = field(default_factory=list)
    conflicts: list[SymbolKey] = field(default_factory=list)
    succeeded: list[SymbolKey] = field(default_factory=list)
    held: frozenset[SymbolKey] = frozenset()
    away: str = ""
    unfinished: list[int] = field(default_factory=list)
    why: str = ""
    failed: list[tuple[_Group, Exception]] = field(default_factory=list)

    def refuses(self, error: Exception) -> str:
        self.away = self.why = f"the state table refuses: {error}"
        return self.away


@dataclass(frozen=True)
class StateWriter:
    """Writer of states, by conditional writes in parallel.

    is_refusal: tells if an error is the table's refusal of us, which no trade causes.
    held: items that need not be read.
    """

    state_store: StateStore
    average_windows: tuple[int, ...]
    patience: Patience
    is_refusal: Callable[[Exception], bool]
    threads: int
    held: HeldItems = field(default_factory=HeldItems)

    def write(self, newest: NewestRows) -> StateResult:
        """Merge trades into the states, those of the first records first.

        One symbol's error is raised after all others were written. What each of several symbols raises is no record's:
        it is answered like a table that is away.
        """
        if not newest.keys:
            return StateResult(0, 0, None)
        groups = sorted(map(_Group, newest.first_records, range(len(newest.keys)), newest.keys))
        done = _Progress()
        done.stored = {key: item for key in newest.keys if (item := self.held.get(key))}
        done.held = frozenset(done.stored)
        unread = [group for group in groups if group.key not in done.stored]
        read = [group for group in groups if group.key in done.stored]
        chunks = [unread[start : start + KEYS_A_READ] for start in range(0, len(unread), KEYS_A_READ)]

        def read_chunk(chunk: Sequence[_Group]) -> None:
            try:
                if self._attempt(done, chunk, lambda: self._read(done, [group.key for group in chunk])):
                    read.extend(chunk)
            except Exception as error:
                if len(chunk) == 1:
                    self._fail(done, chunk[0], error, others=read)
                for group in chunk if len(chunk) > 1 else ():
                    read_chunk((group,))  # one key may be at fault

        def write_group(change: tuple[_Group, NewState]) -> None:
            group, state = change
            try:
                if self._attempt(done, (group,), lambda: self._write_one(done, newest, group, state)):
                    done.succeeded.append(group.key)
            except Exception as error:
                self._fail(done, group, error, others=done.succeeded)

        if chunks:
            in_threads(min(self.threads, len(chunks)), chunks, read_chunk)
        changes = self._changes(done, newest, sorted(read))
        if changes:
            in_threads(min(self.threads, len(changes)), changes, write_group)
        if done.failed:
            error = done.failed[0][1]
            if done.succeeded or len(groups) == 1:
                raise error
            done.refuses(error)
            done.unfinished += [group.first_record for group, _ in done.failed]
        return StateResult(len(done.written), len(done.conflicts), min(done.unfinished, default=None), done.why)

    def _attempt(self, done: _Progress, groups: Sequence[_Group], do: Callable[[], None]) -> bool:
        """Do it unless the table is away. Return whether it was done; what was not is noted.

        Raises what is neither a matter of time nor the table's refusal.
        """
        why = done.away
        if not why:
            try:
                do()
            except RetryableError as error:
                why = str(error)
            except Exception as error:
                if not self.is_refusal(error):
                    raise
                why = done.refuses(error)
        if why:
            done.unfinished += [group.first_record for group in groups]
            done.why = why
        return not why

    @staticmethod
    def _fail(done: _Progress, group: _Group, error: Exception, others: Sequence[object]) -> None:
        """Note an error. others: what the table took in the same way."""
        done.failed.append((group, error))
        if len(done.failed) >= FAILURES_OF_ALL and not others:
            done.refuses(error)

    def _read(self, done: _Progress, keys: Sequence[SymbolKey]) -> None:
        """Read again while the table throttles, because a batch must not spend its retries on that."""
        pending = keys

        def read_some() -> None:
            nonlocal pending
            items, pending = self.state_store.read_once(pending)
            done.stored.update(items)
            if pending:
                raise RetryableError("the state table left keys unread; try again")

        self.patience.call(read_some)

    def _changes(self, done: _Progress, newest: NewestRows, read: Iterable[_Group]) -> list[tuple[_Group, NewState]]:
        """Merge all symbols whose items were read. Return those whose state changes, in the given order."""
        held: dict[int, tuple[StateRows, StateRows]] = {}
        sound = []
        for group in read:
            item = done.stored.get(group.key)
            try:
                held[group.number] = item.rows(newest.kinds) if item else (NO_ROWS, NO_ROWS)
                sound.append(group)
                if item:
                    self.held.keep(item)
            except DamagedItemError as error:
                self._fail(done, group, error, others=done.succeeded)
        states = self._merged(newest, held)
        done.succeeded += [group.key for group in sound if group.number not in states]
        return [(group, states[group.number]) for group in sound if group.number in states]

    def _merged(self, newest: NewestRows, held: dict[int, tuple[StateRows, StateRows]]) -> dict[int, NewState]:
        """Return the new states of those symbols, by number, whose state changes. held: windows and older rows."""
        numbers = sorted(held)
        of_row = np.searchsorted(numbers, newest.group)
        is_wanted = np.isin(newest.group, numbers)
        windows, older = zip(*(held[number] for number in numbers), strict=True) if numbers else ((), ())
        merged = merged_rows(
            _grouped(windows),
            _grouped(older),
            GroupedRows(newest.rows.take(np.flatnonzero(is_wanted)), of_row[is_wanted]),
            len(numbers),
            newest.kinds,
            window_capacity(self.average_windows),
        )
        keys = [newest.keys[number] for number in numbers]
        changed = changed_states(merged, keys, newest.kinds, self.average_windows)
        return {numbers[place]: state for place, state in changed}

    def _write_one(self, done: _Progress, newest: NewestRows, group: _Group, state: NewState) -> None:
        """Write; after a failure, merge again into what a fresh read shows."""
        stored = done.stored.get(group.key)
        failure: RetryableError | None = None
        for earlier_attempts in range(ATTEMPTS):
            self.patience.begin(earlier_attempts)
            try:
                if earlier_attempts:
                    stored = self._read_again(group.key)
                    self.patience.begin(0)
                    rows = stored.rows(newest.kinds) if stored else (NO_ROWS, NO_ROWS)
                    changed = self._merged(newest, {group.number: rows})
                    if not changed:
                        return
                    state = changed[group.number]
                self.held.forget(group.key)  # until it is known to be written
                self.held.keep(self.state_store.put(state, stored.revision if stored else None))
                done.written.append(group.key)
                return
            except StateConflictError as error:
                if not earlier_attempts and group.key in done.held:
                    self.held.found_stale()
                done.conflicts.append(group.key)
                failure = error
            except RetryableError as error:
                failure = error
        raise RetryableError(f"{failure}") from failure

    def _read_again(self, key: SymbolKey) -> StoredItem | None:
        items, unread = self.state_store.read_once([key])
        if unread:
            raise RetryableError(f"the state table left {key} unread; try again")
        return items.get(key)


def _grouped(parts: Sequence[StateRows]) -> GroupedRows:
    return GroupedRows(rows_concatenated(parts), np.repeat(np.arange(len(parts)), [part.count for part in parts]))
