"""The processor: a batch of the stream into the dead-letter queue, the lake and the realtime state.

The order of effects is the promise: rejected lines, raw files, states. Each is idempotent, so a batch that failed
half-way is processed again. Lambda retries from the first record whose effects are incomplete; none is skipped.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.rejection import Rejection
from stock_pipeline.streaming.batch_decoder import DecodedBatch, decode_batch
from stock_pipeline.streaming.batch_report import BatchReport, LakeResult, StateResult
from stock_pipeline.streaming.kinesis_event import StreamBatch, parse_kinesis_event
from stock_pipeline.streaming.newest_trades import newest_trades
from stock_pipeline.streaming.ports import DeadLetterQueue, Objects, StateStore
from stock_pipeline.streaming.quarantine import quarantine_file
from stock_pipeline.streaming.raw_files import raw_files
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.streaming.state_writer import StateWriter
from stock_pipeline.trade_table import int64_values


@dataclass(frozen=True)
class Processor:
    """The processor, with everything it acts on.

    wait: pauses before the given attempt (1, 2, …) at a conflicted or throttled call.
    """

    dead_letters: DeadLetterQueue
    raw_store: Objects
    state_store: StateStore
    average_windows: tuple[int, ...]
    wait: Callable[[int], None]
    parallel_writes: int = 8

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Process a Kinesis event. Return Lambda's answer."""
        return self.process(event).response()

    def process(self, event: Mapping[str, Any]) -> BatchReport:
        """Process a Kinesis event."""
        batch = parse_kinesis_event(event)
        decoded = decode_batch(batch)
        rejected_by_reason = self._reject(batch, decoded.rejections)
        lake = self._write_lake(batch, decoded.trades)
        states = self._write_states(decoded)
        return _report(batch, decoded, rejected_by_reason, lake, states)

    def _reject(self, batch: StreamBatch, rejections: Sequence[Rejection]) -> Mapping[str, int]:
        """Quarantine and queue rejected lines, for queries and redrive. Return their number by reason."""
        if rejections:
            file = quarantine_file(batch, rejections)
            self.raw_store.put_if_absent(file.key, file.body)
            self.dead_letters.send([message_bytes(rejection) for rejection in rejections])
        return Counter(str(rejection.reason) for rejection in rejections)

    def _write_lake(self, batch: StreamBatch, trades: pa.Table) -> LakeResult:
        objects = size = duplicates = 0
        for file in raw_files(batch, trades):
            if self.raw_store.put_if_absent(file.key, file.body):
                objects += 1
                size += len(file.body)
                duplicates += file.repeats
            else:
                duplicates += file.rows
        return LakeResult(objects, size, duplicates)

    def _write_states(self, decoded: DecodedBatch) -> StateResult:
        newest = newest_trades(decoded.trades, decoded.record_of_row, window_capacity(self.average_windows))
        return StateWriter(self.state_store, self.average_windows, self.wait, self.parallel_writes).write(newest)


def _report(
    batch: StreamBatch,
    decoded: DecodedBatch,
    rejected_by_reason: Mapping[str, int],
    lake: LakeResult,
    states: StateResult,
) -> BatchReport:
    median_ns, oldest_hundredth_ns = _event_times(decoded.trades)
    failed = states.failed_record
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
        failed_sequence=None if failed is None else batch.records[failed].sequence_number,
    )


def _event_times(trades: pa.Table) -> tuple[int | None, int | None]:
    """Return the event time of the median and of the oldest hundredth."""
    if not trades.num_rows:
        return None, None
    places = [int(share * (trades.num_rows - 1)) for share in (0.5, 0.01)]
    median, oldest_hundredth = np.partition(int64_values(trades["event_time_ns"]), places)[places].tolist()
    return median, oldest_hundredth
