"""Rebuilds the realtime table from the states that follow from the lake.

Merging is safe at any time: it is the processor's own merge and conditional write, so what the processor writes
meanwhile stays, and newer states or cancellations are never taken back. Killed and run again, it does the rest.

Replacing is for an item whose rows are wrong, which a merge would keep. The processor writes a trade into the lake
before it writes it into the table. So what a replaced item had and the lake had not yet shown is in raw files that came
since. They are read after replacing, and merged.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.streaming.newest_trades import rows_of_states
from stock_pipeline.streaming.patience import Patience, in_threads
from stock_pipeline.streaming.ports import StateStore
from stock_pipeline.streaming.state_writer import StateWriter

KEYS_AT_ONCE = 1_000
"""Items in memory at a time."""


class RebuildTable(StateStore, Protocol):
    def revision(self, key: SymbolKey) -> str | None:
        """Return the stored revision without a look at the trades, or None if there is no item."""

    def write(self, state: SymbolState, replaces: str | None) -> None:
        """Do `put` for a state of trades."""


class Change(NamedTuple):
    """What rebuilding would make of an item.

    before: None if there is none, or if it is replaced unread.
    is_unread: it was not read, because it is to be forgotten.
    """

    key: SymbolKey
    before: SymbolState | None
    after: SymbolState
    is_unread: bool = False

    def __str__(self) -> str:
        before = _shown(self.before) if self.before else "another item or none" if self.is_unread else "no item"
        return f"{self.key.symbol} ({self.key.feed}): {before} → {_shown(self.after)}"


class Rebuilt(NamedTuple):
    """Counts of one rebuild. conflicts: writes that the processor preceded, tried again."""

    items: int
    written: int
    conflicts: int


@dataclass(frozen=True)
class StateRebuild:
    """wait: pauses before the given attempt (1, 2, …) at a call that failed.

    progress: is told how many items are done, of how many.
    """

    table: RebuildTable
    average_windows: tuple[int, ...]
    wait: Callable[[int], None]
    progress: Callable[[int, int], None] = lambda _done, _all: None
    threads: int = 8

    def changes(self, states: Sequence[SymbolState], replace: bool = False) -> Iterator[Change]:
        """Yield each item that would change; nothing is written."""
        for some in _chunks(states):
            stored = {} if replace else self._stored([state.key for state in some])
            for state in some:
                if replace:
                    if self._patience.call(partial(self.table.revision, state.key)) != state.revision:
                        yield Change(state.key, None, state, is_unread=True)
                    continue
                before = stored.get(state.key)
                after = (before or SymbolState(state.key, ())).merged_with(state.rows, self.average_windows)
                if after != before:
                    yield Change(state.key, before, after)

    def run(self, read: Callable[[], Sequence[SymbolState]], replace: bool = False) -> Rebuilt:
        """Merge the states, or put them in the place of the stored ones and then merge what came since.

        read: returns the states of the lake; a second time, with what came since.
        """
        if not replace:
            return self.merge(read())
        done = self.replace(read())
        self.merge(read())
        return done

    def merge(self, states: Sequence[SymbolState]) -> Rebuilt:
        """Merge the states into the stored ones. Raises `RetryableError` if the table stays away."""
        writer = StateWriter(self.table, self.average_windows, self._patience, lambda _error: False, self.threads)
        done = written = conflicts = 0
        for some in _chunks(states):
            result = writer.write(rows_of_states(some))
            written += result.writes
            conflicts += result.conflicts
            if result.failed_record is not None:
                raise RetryableError(f"not all items were written ({result.why}); run it again, and it does the rest")
            done += len(some)
            self.progress(done, len(states))
        return Rebuilt(len(states), written, conflicts)

    def replace(self, states: Sequence[SymbolState]) -> Rebuilt:
        """Put the states in the place of the stored ones, whatever those hold.

        The caller reads the lake again afterwards, and merges what came since.
        """
        written: list[SymbolKey] = []
        conflicts: list[SymbolKey] = []

        def replace_one(state: SymbolState) -> None:
            self._patience.call(lambda: self._replace_one(state, written, conflicts))

        done = 0
        for some in _chunks(states):
            in_threads(self.threads, some, replace_one)
            done += len(some)
            self.progress(done, len(states))
        return Rebuilt(len(states), len(written), len(conflicts))

    def _replace_one(self, state: SymbolState, written: list[SymbolKey], conflicts: list[SymbolKey]) -> None:
        stored = self.table.revision(state.key)
        # the processor's write in between is no reason to stop: its trades are in the lake, and are merged afterwards
        try:
            self.table.write(state, stored)
        except StateConflictError:
            conflicts.append(state.key)
            raise
        written.append(state.key)

    def _stored(self, keys: Sequence[SymbolKey]) -> dict[SymbolKey, SymbolState]:
        states: dict[SymbolKey, SymbolState] = {}
        pending = keys

        def read_some() -> None:
            nonlocal pending
            found, pending = self.table.read_once(pending)
            states.update({key: item.stored_state().state for key, item in found.items()})
            if pending:
                raise RetryableError("the state table left keys unread; try again")

        self._patience.call(read_some)
        return states

    @property
    def _patience(self) -> Patience:
        return Patience(self.wait, lambda: True)


def remembered(states: Iterable[SymbolState], time_to_live_days: int | None, now_ns: int) -> list[SymbolState]:
    """Return the states in the order of their keys, without those that the table would let expire at once."""
    oldest_ns = now_ns - time_to_live_days * 86_400 * 10**9 if time_to_live_days is not None else 0
    return sorted(
        (state for state in states if state.window and state.window[-1].event_time_ns > oldest_ns),
        key=lambda state: state.key,
    )


def _chunks(states: Sequence[SymbolState]) -> Iterator[list[SymbolState]]:
    waiting = iter(states)
    while some := list(islice(waiting, KEYS_AT_ONCE)):
        yield some


def _shown(state: SymbolState) -> str:
    latest: Trade | None = state.latest
    trades = f"{len(state.window)} trades"
    if latest is None:
        return f"{trades}, none counts"
    at = datetime.fromtimestamp(latest.event_time_ns // 10**9, UTC)
    return f"{trades}, {latest.price.normalize():f} at {at:%Y-%m-%d %H:%M:%S}"
