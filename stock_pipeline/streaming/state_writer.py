"""A batch's newest trades into the stored states."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.streaming.batch_report import StateResult
from stock_pipeline.streaming.newest_trades import NewestTrades
from stock_pipeline.streaming.patience import ATTEMPTS, Patience, in_threads
from stock_pipeline.streaming.ports import StateStore

KEYS_A_READ = 100
"""What one call of BatchGetItem takes."""

FAILURES_OF_ALL = 20
"""If so many symbols fail before one succeeds, the table is at fault, and no other is tried."""


@dataclass
class _Progress:
    """What the threads share: lists, because threads append to them safely.

    written, conflicts, succeeded: an entry each.
    away: the table's refusal; nothing more is tried, because the next call would be refused too.
    unfinished: first records of symbols that are not written.
    why: the last reason of one.
    failed: groups with an error that is no matter of time.
    """

    stored: dict[SymbolKey, StoredState] = field(default_factory=dict)
    written: list[SymbolKey] = field(default_factory=list)
    conflicts: list[SymbolKey] = field(default_factory=list)
    succeeded: list[SymbolKey] = field(default_factory=list)
    away: str = ""
    unfinished: list[int] = field(default_factory=list)
    why: str = ""
    failed: list[tuple[NewestTrades, Exception]] = field(default_factory=list)

    def refuses(self, error: Exception) -> str:
        self.away = self.why = f"the state table refuses: {error}"
        return self.away


@dataclass(frozen=True)
class StateWriter:
    """Writer of states, by conditional writes in parallel.

    is_refusal: tells if an error is the table's refusal of us, which no trade causes.
    """

    state_store: StateStore
    average_windows: tuple[int, ...]
    patience: Patience
    is_refusal: Callable[[Exception], bool]
    threads: int

    def write(self, newest: Sequence[NewestTrades]) -> StateResult:
        """Merge trades into the states, those of the first records first.

        One symbol's error is raised after all others were written. What each of several symbols raises is no record's:
        it is answered like a table that is away.
        """
        if not newest:
            return StateResult(0, 0, None)
        groups = sorted(newest, key=attrgetter("first_record"))
        done = _Progress()
        chunks = [groups[start : start + KEYS_A_READ] for start in range(0, len(groups), KEYS_A_READ)]
        read: list[NewestTrades] = []

        def read_chunk(chunk: Sequence[NewestTrades]) -> None:
            try:
                if self._attempt(done, chunk, lambda: self._read(done, [group.key for group in chunk])):
                    read.extend(chunk)
            except Exception as error:
                if len(chunk) == 1:
                    self._fail(done, chunk[0], error, others=read)
                for group in chunk if len(chunk) > 1 else ():
                    read_chunk((group,))  # one key may be at fault

        def write_group(group: NewestTrades) -> None:
            try:
                if self._attempt(done, (group,), lambda: self._write_one(done, group)):
                    done.succeeded.append(group.key)
            except Exception as error:
                self._fail(done, group, error, others=done.succeeded)

        in_threads(min(self.threads, len(chunks)), chunks, read_chunk)
        if read:
            read.sort(key=attrgetter("first_record"))
            in_threads(min(self.threads, len(read)), read, write_group)
        if done.failed:
            error = done.failed[0][1]
            if done.succeeded or len(groups) == 1:
                raise error
            done.refuses(error)
            done.unfinished += [group.first_record for group, _ in done.failed]
        return StateResult(len(done.written), len(done.conflicts), min(done.unfinished, default=None), done.why)

    def _attempt(self, done: _Progress, groups: Sequence[NewestTrades], do: Callable[[], None]) -> bool:
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
    def _fail(done: _Progress, group: NewestTrades, error: Exception, others: Sequence[object]) -> None:
        """Note an error. others: what the table took in the same way."""
        done.failed.append((group, error))
        if len(done.failed) >= FAILURES_OF_ALL and not others:
            done.refuses(error)

    def _read(self, done: _Progress, keys: Sequence[SymbolKey]) -> None:
        """Read again while the table throttles, because a batch must not spend its retries on that."""
        pending = keys

        def read_some() -> None:
            nonlocal pending
            states, pending = self.state_store.read_once(pending)
            done.stored.update(states)
            if pending:
                raise RetryableError("the state table left keys unread; try again")

        self.patience.call(read_some)

    def _write_one(self, done: _Progress, group: NewestTrades) -> None:
        """Merge and write; after a failure, again from a fresh read."""
        stored = done.stored.get(group.key)
        failure: RetryableError | None = None
        for earlier_attempts in range(ATTEMPTS):
            self.patience.begin(earlier_attempts)
            try:
                if earlier_attempts:
                    stored = self._read_again(group.key)
                    self.patience.begin(0)
                base = stored.state if stored else SymbolState(group.key, ())
                merged = base.merged_with(group.trades, self.average_windows)
                if merged != base:
                    self.state_store.write(merged, stored.revision if stored else None)
                    done.written.append(group.key)
                return
            except StateConflictError as error:
                done.conflicts.append(group.key)
                failure = error
            except RetryableError as error:
                failure = error
        raise RetryableError(f"{failure}") from failure

    def _read_again(self, key: SymbolKey) -> StoredState | None:
        states, unread = self.state_store.read_once([key])
        if unread:
            raise RetryableError(f"the state table left {key} unread; try again")
        return states.get(key)
