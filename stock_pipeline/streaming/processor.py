"""The processor: a batch of the stream into the lake, the dead-letter queue and the realtime state.

The order of effects is the promise: raw files, rejections, states. Each is idempotent, so a batch that failed half-way
is processed again. Lambda retries from the first record whose effects are incomplete; none is skipped.

What is away (it throttles, does not answer, refuses us, or fails for every symbol) is no record's fault. So it is
answered with the first unfinished record. Any other error is raised, and Lambda halves the batch to find the record.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.rejection import Rejection
from stock_pipeline.errors import RetryableError
from stock_pipeline.streaming.batch_decoder import DecodedBatch, decode_batch
from stock_pipeline.streaming.batch_report import BatchReport, LakeResult, StateResult
from stock_pipeline.streaming.held_items import HeldItems
from stock_pipeline.streaming.kinesis_event import StreamBatch, parse_kinesis_event
from stock_pipeline.streaming.newest_trades import newest_rows
from stock_pipeline.streaming.patience import Patience, in_threads
from stock_pipeline.streaming.ports import DeadLetterQueue, Objects, StateStore
from stock_pipeline.streaming.quarantine import quarantine_file
from stock_pipeline.streaming.raw_files import raw_files
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.streaming.state_writer import StateWriter
from stock_pipeline.trade_table import array_of, int64_values

MESSAGES_A_SEND = 10
BYTES_A_SEND = 128 * 1024
"""What one call of SendMessageBatch takes, as payloads before base64. A larger one is sent alone."""

_NOTHING_WRITTEN = LakeResult(0, 0, 0, 0)


class Away(NamedTuple):
    """What could not be reached. record: index of the first record without the effect."""

    record: int
    why: str


@dataclass(frozen=True)
class Processor:
    """The processor, with everything it acts on.

    wait: pauses before the given attempt (1, 2, …) at a call that failed.
    is_refusal: tells if an error is a service's refusal of us, which no record causes.
    now_ns: the time, as nanoseconds since 1970 UTC.
    held: the table's items as this process left them.
    """

    dead_letters: DeadLetterQueue
    raw_store: Objects
    state_store: StateStore
    average_windows: tuple[int, ...]
    wait: Callable[[int], None]
    limits: ArrivalLimits = field(default_factory=ArrivalLimits)
    is_refusal: Callable[[Exception], bool] = lambda _error: False
    parallel_calls: int = 8
    now_ns: Callable[[], int] = time.time_ns
    held: HeldItems = field(default_factory=HeldItems)

    def handle(
        self, event: Mapping[str, Any], has_time: Callable[[], bool] = lambda: True
    ) -> dict[str, list[dict[str, str]]]:
        """Process a Kinesis event. Return Lambda's answer."""
        return self.process(event, has_time).response()

    def process(self, event: Mapping[str, Any], has_time: Callable[[], bool] = lambda: True) -> BatchReport:
        """Process a Kinesis event. Once there is no time, nothing is begun any more."""
        patience = Patience(self.wait, has_time)
        batch = parse_kinesis_event(event)
        decoded = decode_batch(batch, self.limits)
        lake = self._write_lake(batch, decoded.trades, patience)
        if isinstance(lake, Away):
            return _report(batch, replace(decoded, rejections=()), _NOTHING_WRITTEN, StateResult(0, 0, None), [lake])
        away = self._reject(batch, decoded.rejections, patience)
        states = self._write_states(batch, decoded, patience)
        if states.failed_record is not None:
            away.append(Away(states.failed_record, states.why))
        return _report(batch, decoded, lake, states, away)

    def _write_lake(self, batch: StreamBatch, trades: pa.Table, patience: Patience) -> LakeResult | Away:
        objects = size = duplicates = trades_written = 0
        for file in raw_files(batch, trades):
            try:
                is_new = patience.call(partial(self.raw_store.put_if_absent, file.key, file.body))
            except Exception as error:
                if not self._is_away(error):
                    raise
                return Away(0, str(error))
            if is_new:
                objects += 1
                size += len(file.body)
                duplicates += file.repeats
                trades_written += file.rows - file.repeats
            else:
                duplicates += file.rows
        return LakeResult(objects, size, duplicates, trades_written)

    def _reject(self, batch: StreamBatch, rejections: Sequence[Rejection], patience: Patience) -> list[Away]:
        """Quarantine and queue rejections, for queries and redrive. Return what could not be."""
        if not rejections:
            return []
        places = {record.sequence_number: place for place, record in enumerate(batch.records)}
        away: list[Away] = []
        raised: list[Exception] = []

        def attempt(do: Callable[[], object], first: Rejection) -> None:
            try:
                patience.call(do)
            except Exception as error:
                if self._is_away(error):
                    away.append(Away(places[first.sequence_number], str(error)))
                else:
                    raised.append(error)

        def send(some: Sequence[Rejection]) -> None:
            attempt(partial(self.dead_letters.send, [message_bytes(one) for one in some]), some[0])

        file = quarantine_file(batch, rejections)
        attempt(partial(self.raw_store.put_if_absent, file.key, file.body), rejections[0])
        sends = list(_sends(rejections))
        in_threads(min(self.parallel_calls, len(sends)), sends, send)
        if raised:
            raise raised[0]
        return away

    def _write_states(self, batch: StreamBatch, decoded: DecodedBatch, patience: Patience) -> StateResult:
        trades, record_of_row = decoded.trades, decoded.record_of_row
        if self.limits.remembered_ns is not None and trades.num_rows:
            # by now, too: a batch that comes again finds items gone that were there when it first came
            oldest_ns = np.maximum(batch.arrivals_ns, self.now_ns()) - self.limits.remembered_ns
            remembered = int64_values(trades["event_time_ns"]) >= oldest_ns[record_of_row]
            if not remembered.all():
                rows = np.flatnonzero(remembered)
                trades, record_of_row = trades.take(array_of(rows, pa.int64())), record_of_row[rows]
        newest = newest_rows(trades, record_of_row, window_capacity(self.average_windows))
        return StateWriter(
            self.state_store, self.average_windows, patience, self.is_refusal, self.parallel_calls, self.held
        ).write(newest)

    def _is_away(self, error: Exception) -> bool:
        return isinstance(error, RetryableError) or self.is_refusal(error)


def _sends(rejections: Sequence[Rejection]) -> Iterator[Sequence[Rejection]]:
    """Yield rejections in groups that one call takes, so that time is looked at between any two."""
    group: list[Rejection] = []
    size = 0
    for rejection in rejections:
        if group and (len(group) == MESSAGES_A_SEND or size + len(rejection.payload) > BYTES_A_SEND):
            yield group
            group, size = [], 0
        group.append(rejection)
        size += len(rejection.payload)
    yield group


def _report(
    batch: StreamBatch, decoded: DecodedBatch, lake: LakeResult, states: StateResult, away: Sequence[Away]
) -> BatchReport:
    median_ns, oldest_hundredth_ns = _event_times(decoded.trades)
    rejected_by_reason: Counter[str] = Counter()
    for rejection in decoded.rejections:
        rejected_by_reason[str(rejection.reason)] += rejection.lines
    first = min(away, default=None)
    return BatchReport(
        shard_id=batch.shard_id,
        first_sequence=batch.first_sequence,
        last_sequence=batch.last_sequence,
        records=len(batch.records),
        trades=decoded.trades.num_rows,
        median_event_time_ns=median_ns,
        oldest_hundredth_event_time_ns=oldest_hundredth_ns,
        rejected_by_reason=rejected_by_reason,
        lake=lake,
        states=states,
        failed_sequence=batch.records[first.record].sequence_number if first else None,
        why=first.why if first else "",
    )


def _event_times(trades: pa.Table) -> tuple[int | None, int | None]:
    """Return the event time of the median and of the oldest hundredth."""
    if not trades.num_rows:
        return None, None
    places = [int(share * (trades.num_rows - 1)) for share in (0.5, 0.01)]
    median, oldest_hundredth = np.partition(int64_values(trades["event_time_ns"]), places)[places].tolist()
    return median, oldest_hundredth
