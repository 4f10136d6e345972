"""The processor: one batch of the stream into the dead-letter queue, the lake and the realtime state.

The order of effects is the promise: first what was rejected goes to the queue, then the trades to the lake, then
state. Each effect is idempotent, so a batch that failed half-way is simply processed again. An effect that can't be
done makes Lambda retry from the lowest record that needs it; nothing is skipped and nothing is swallowed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from stock_pipeline.domain.lake_layout import quarantine_key
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.rejection import Rejection
from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.streaming.batch_decoder import decode_batch
from stock_pipeline.streaming.kinesis_event import StreamBatch, parse_kinesis_event
from stock_pipeline.streaming.newest_trades import NewestTrades, newest_trades
from stock_pipeline.streaming.quarantine import quarantine_file
from stock_pipeline.streaming.raw_files import content_hash, raw_files
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.trade_table import int64_values

CONFLICT_ATTEMPTS = 8


class DeadLetterQueue(Protocol):
    def send(self, documents: Sequence[bytes]) -> None:
        """Keep every JSON document, or raise."""


class RawStore(Protocol):
    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write the object unless the key is taken; whether it was written."""


class StateStore(Protocol):
    def read(self, keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, StoredState]:
        """The held states; keys without one are left out."""

    def write(self, state: SymbolState, replaces: str | None) -> None:
        """Write if the held revision is `replaces` (None: nothing is held), else `StateConflictError`."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one batch came to; the source of its metrics and its log line.

    `failed_record` is the index of the first record whose effects are incomplete, None if all are done.
    """

    shard_id: str
    first_sequence: str
    last_sequence: str
    records: int
    trades: int
    duplicates: int
    rejected_by_reason: Mapping[str, int]
    median_event_time_ns: int | None
    oldest_hundredth_event_time_ns: int | None
    lake_objects: int
    lake_bytes: int
    state_writes: int
    state_conflicts: int
    failed_record: int | None
    failed_sequence: str | None

    @property
    def rejected(self) -> int:
        return sum(self.rejected_by_reason.values())

    def response(self) -> dict[str, list[dict[str, str]]]:
        """The answer to Lambda: the first record to deliver again, if any (ReportBatchItemFailures)."""
        if self.failed_sequence is None:
            return {"batchItemFailures": []}
        return {"batchItemFailures": [{"itemIdentifier": self.failed_sequence}]}


@dataclass(frozen=True)
class Processor:
    """The processor's use case with everything it acts on.

    `wait` pauses before the given attempt at a conflicted or throttled write (1, 2, …): back-off with jitter.
    """

    dead_letters: DeadLetterQueue
    raw_store: RawStore
    state_store: StateStore
    average_windows: tuple[int, ...]
    wait: Callable[[int], None]
    parallel_writes: int = 8

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Process a Kinesis event; the answer names the first record to deliver again, if any."""
        return self.process(event).response()

    def process(self, event: Mapping[str, Any]) -> BatchReport:
        batch = parse_kinesis_event(event)
        decoded = decode_batch(batch)

        if decoded.rejections:
            self._reject(batch, decoded.rejections)

        lake_objects = lake_bytes = duplicates = 0
        for file in raw_files(batch, decoded.trades):
            if self.raw_store.put_if_absent(file.key, file.body):
                lake_objects += 1
                lake_bytes += len(file.body)
                duplicates += file.repeats
            else:
                duplicates += file.rows

        newest = newest_trades(decoded.trades, decoded.record_of_row, window_capacity(self.average_windows))
        outcomes = self._update_states(newest)
        failed = [group.first_record for group, outcome in outcomes if not outcome.done]
        failed_record = min(failed, default=None)
        return BatchReport(
            shard_id=batch.shard_id,
            first_sequence=batch.first_sequence,
            last_sequence=batch.last_sequence,
            records=len(batch.records),
            trades=decoded.trades.num_rows,
            duplicates=duplicates,
            rejected_by_reason=Counter(str(rejection.reason) for rejection in decoded.rejections),
            median_event_time_ns=_event_time_quantile(decoded.trades, 0.5),
            oldest_hundredth_event_time_ns=_event_time_quantile(decoded.trades, 0.01),
            lake_objects=lake_objects,
            lake_bytes=lake_bytes,
            state_writes=sum(outcome.wrote for _, outcome in outcomes),
            state_conflicts=sum(outcome.conflicts for _, outcome in outcomes),
            failed_record=failed_record,
            failed_sequence=None if failed_record is None else batch.records[failed_record].sequence_number,
        )

    def _reject(self, batch: StreamBatch, rejections: Sequence[Rejection]) -> None:
        """Into the quarantine, where they can be queried, and into the queue, from where they are redriven."""
        arrival_date = datetime.fromtimestamp(rejections[0].arrival_time, UTC).date()
        body = quarantine_file(rejections)
        key = quarantine_key(
            arrival_date, batch.shard_id, batch.first_sequence, batch.last_sequence, content_hash(body)
        )
        self.raw_store.put_if_absent(key, body)
        self.dead_letters.send([message_bytes(rejection) for rejection in rejections])

    def _update_states(self, newest: Sequence[NewestTrades]) -> list[tuple[NewestTrades, "_Outcome"]]:
        if not newest:
            return []
        held = self._read_states([group.key for group in newest])
        # One iterator that the threads share: handing over each symbol as a task costs more than merging it.
        waiting = iter(newest)
        done: list[tuple[NewestTrades, _Outcome]] = []
        raised: list[Exception] = []

        def work(_thread: int) -> None:
            for group in waiting:
                try:
                    done.append((group, self._update_state(group, held.get(group.key))))
                except Exception as error:  # what one symbol raises keeps no other from being written
                    raised.append(error)

        threads = min(self.parallel_writes, len(newest))
        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(work, range(threads)))
        if raised:
            raise raised[0]
        return done

    def _read_states(self, keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, StoredState]:
        """The held states, asked for again while the table throttles: a batch must not spend its retries on that."""
        for earlier_attempts in range(CONFLICT_ATTEMPTS - 1):
            try:
                return self.state_store.read(keys)
            except RetryableError:
                self.wait(earlier_attempts + 1)
        return self.state_store.read(keys)

    def _update_state(self, group: NewestTrades, held: StoredState | None) -> "_Outcome":
        """Merge and write, and again from a fresh read for as long as somebody else is quicker."""
        conflicts = 0
        for earlier_attempts in range(CONFLICT_ATTEMPTS):
            try:
                if earlier_attempts:
                    self.wait(earlier_attempts)
                    held = self.state_store.read([group.key]).get(group.key)
                base = held.state if held else SymbolState(group.key, ())
                merged = base.merged_with(group.trades, self.average_windows)
                if merged == base:
                    return _Outcome(done=True, wrote=False, conflicts=conflicts)
                self.state_store.write(merged, held.revision if held else None)
                return _Outcome(done=True, wrote=True, conflicts=conflicts)
            except StateConflictError:
                conflicts += 1
            except RetryableError:
                pass
        return _Outcome(done=False, wrote=False, conflicts=conflicts)


def _event_time_quantile(trades: pa.Table, share: float) -> int | None:
    if not trades.num_rows:
        return None
    times = int64_values(trades["event_time_ns"])
    place = int(share * (len(times) - 1))
    return int(np.partition(times, place)[place])


@dataclass(frozen=True, slots=True)
class _Outcome:
    done: bool
    wrote: bool
    conflicts: int
