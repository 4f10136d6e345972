"""A batch's newest trades into the stored states."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.streaming.batch_report import StateResult
from stock_pipeline.streaming.newest_trades import NewestTrades
from stock_pipeline.streaming.ports import StateStore

CONFLICT_ATTEMPTS = 8


@dataclass(frozen=True)
class StateWriter:
    """Writer of states, by conditional writes in parallel.

    wait: pauses before the given attempt (1, 2, …).
    """

    state_store: StateStore
    average_windows: tuple[int, ...]
    wait: Callable[[int], None]
    threads: int

    def write(self, newest: Sequence[NewestTrades]) -> StateResult:
        """Merge trades into the states. One symbol's error is raised after all others were written."""
        if not newest:
            return StateResult(0, 0, None)
        stored = self._read([group.key for group in newest])
        # One iterator that the threads share: handing over each symbol as a task costs more than merging it.
        waiting = iter(newest)
        results: list[StateResult] = []
        raised: list[Exception] = []

        def work(_thread: int) -> None:
            for group in waiting:
                try:
                    results.append(self._write_one(group, stored.get(group.key)))
                except Exception as error:
                    raised.append(error)

        threads = min(self.threads, len(newest))
        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(work, range(threads)))
        if raised:
            raise raised[0]
        return StateResult(
            writes=sum(result.writes for result in results),
            conflicts=sum(result.conflicts for result in results),
            failed_record=min((r.failed_record for r in results if r.failed_record is not None), default=None),
        )

    def _read(self, keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, StoredState]:
        """Read again while the table throttles, because a batch must not spend its retries on that."""
        for earlier_attempts in range(CONFLICT_ATTEMPTS - 1):
            try:
                return self.state_store.read(keys)
            except RetryableError:
                self.wait(earlier_attempts + 1)
        return self.state_store.read(keys)

    def _write_one(self, group: NewestTrades, stored: StoredState | None) -> StateResult:
        """Merge and write; after a conflict, again from a fresh read."""
        conflicts = 0
        for earlier_attempts in range(CONFLICT_ATTEMPTS):
            try:
                if earlier_attempts:
                    self.wait(earlier_attempts)
                    stored = self.state_store.read([group.key]).get(group.key)
                base = stored.state if stored else SymbolState(group.key, ())
                merged = base.merged_with(group.trades, self.average_windows)
                if merged == base:
                    return StateResult(0, conflicts, None)
                self.state_store.write(merged, stored.revision if stored else None)
                return StateResult(1, conflicts, None)
            except StateConflictError:
                conflicts += 1
            except RetryableError:
                pass
        return StateResult(0, conflicts, group.first_record)
