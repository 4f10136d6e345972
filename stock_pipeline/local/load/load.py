"""One load: simulated trades through the local stack while faults are injected.

Publishing and processing run at the same time, and neither keeps finished data. `faults` makes things fail, `findings`
reads what is there afterwards, `report` compares it with the ledger.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from random import Random

from stock_pipeline.aws.passing_errors import is_refusal
from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.errors import RetryableError
from stock_pipeline.local.event_source.failure_destination import FailedBatch
from stock_pipeline.local.event_source.function_runtime import Handler
from stock_pipeline.local.event_source.mapping import Batch, Plan
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.event_source.poller import EventSourcePoller
from stock_pipeline.local.lambda_functions import poller
from stock_pipeline.local.load.faults import (
    Faults,
    FaultyFunction,
    FaultyQueue,
    FaultyRawStore,
    FaultyStateStore,
    FaultyStream,
)
from stock_pipeline.local.load.findings import (
    given_up_lines,
    given_up_records,
    read_lake,
    read_queue,
    state_items,
)
from stock_pipeline.local.load.report import LoadReport, LoadTraffic
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.local.step_display import Display
from stock_pipeline.providers.simulator.broken_line import BrokenLine
from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import Arrival, Simulation, arrivals
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.ports import Stream
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.publisher import PublishReport
from stock_pipeline.streaming.record_packing import PackedRecord, partition_key
from stock_pipeline.streaming.trade_json import encode_trade

SESSION_DATE = date(2018, 1, 2)

PAGE_ARRIVALS = 20_000
PAGE_SECONDS = 6
"""Lines that are not in the stream by then go to `failed/`."""

STALLED_SECONDS = 180
BACK_OFF = BackOff(first_seconds=0.05, longest_seconds=1.0, certain_share=0.5)
"""Shorter pauses than in an account, so that a bad day takes minutes."""


class StalledError(RetryableError):
    """Nothing was processed for minutes."""


def simulation(trades: int, symbols: int, seed: int, *, with_faults: bool) -> Simulation:
    """Return a session of so many trades. With faults, its trades misbehave too."""
    names = tuple(f"S{number:04}" for number in range(symbols))
    if not with_faults:
        return Simulation(names, SESSION_DATE, trades, seed)
    return Simulation(
        names,
        SESSION_DATE,
        trades,
        seed,
        repeated=0.01,
        late=0.01,
        reordered=0.1,
        corrected=0.005,
        cancelled=0.005,
        broken=0.0005,
    )


class MeteredStream:
    """A stream that counts what it took: more than was published, where an answer was lost."""

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self.records = 0
        self.lines = 0

    def put(self, records: Sequence[PackedRecord]) -> list[str | None]:
        answers = self._inner.put(records)
        for record, refused in zip(records, answers, strict=True):
            if not refused:
                self.records += 1
                self.lines += record.lines
        return answers


class LoadProgress(SilentObserver):
    """Observer that counts finished records, for a display and a waiting caller."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._changed = threading.Condition()
        self._records = 0
        self._stopped = False

    def batch_finished(self, shard_id: str, batch: Batch, plan: Plan) -> None:  # noqa: ARG002
        self._display.advanced(sum(record.data.count(b"\n") + 1 for record in plan.done))
        self._add(len(plan.done))

    def sent_to_destination(self, failed: FailedBatch) -> None:
        self._add(len(failed.batch.records))

    def stopped(self) -> None:
        """Note that nothing more will be done."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_for(self, records: int) -> None:
        """Wait until so many records are done; raise `StalledError` if nothing happens for long or any more."""
        with self._changed:
            while self._records < records:
                if self._stopped or not self._changed.wait(STALLED_SECONDS):
                    raise StalledError(
                        f"{self._records} of {records} records were processed, then nothing more: see what the event "
                        "source poller reports"
                    )

    def _add(self, records: int) -> None:
        if records:
            with self._changed:
                self._records += records
                self._changed.notify_all()


@dataclass
class LoadRun:
    """One run over a fresh stack.

    Once everything was published and processed the faults end. Then what was given up goes into the stream again, as in
    a redrive.
    """

    stack: LocalStack
    simulation: Simulation
    faults: Faults
    display: Display
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        wiring = self.stack.wiring
        self._store = wiring.objects
        self._stream = MeteredStream(wiring.stream)
        self._publisher = replace(
            wiring.publisher(),
            stream=FaultyStream(self._stream, self.faults),
            wait=back_off(time.sleep, Random(self.simulation.seed)),
        )

    def run(self) -> LoadReport:
        progress = LoadProgress(self.display)
        processing = poller(self.stack, self._function(), progress, BACK_OFF)
        self.display.started("Publish and process", self.simulation.trades)
        began = time.monotonic()
        published = self._publish_while(processing, progress)
        seconds = time.monotonic() - began
        in_first_pass = self._stream.lines
        counts = processing.counts
        self.display.finished(
            f"{in_first_pass:,} lines in {self._stream.records:,} records, {counts.invocations:,} calls"
        )
        self.faults.stop()
        redriven = self._redrive(processing)
        traffic = LoadTraffic(
            seconds=seconds,
            records=self._stream.records,
            invocations=processing.counts.invocations,
            put_twice=in_first_pass - published.published,
            redriven=redriven,
        )
        return self._measure(traffic)

    def _publish_while(self, processing: EventSourcePoller, progress: LoadProgress) -> PublishReport:
        """Publish everything while the poller runs in its own thread; wait until it is processed."""
        stop = threading.Event()
        thread = threading.Thread(target=_run, args=(processing, stop, progress), name="event source poller")
        try:
            # inside: Ctrl-C may come while it starts, and a thread that is not stopped keeps the process alive
            thread.start()
            published = self._publish()
            progress.wait_for(self._stream.records)
        finally:
            stop.set()
            if thread.is_alive():
                thread.join()
        return published

    def _publish(self) -> PublishReport:
        total = PublishReport(0, 0, 0, 0, 0)
        rest = arrivals(self.simulation, time.time_ns(), self.ledger)
        while page := list(islice(rest, PAGE_ARRIVALS)):
            lines = self._lines(page)
            total = total.plus(self._publisher.publish_lines(lines, time.time_ns() + PAGE_SECONDS * 10**9))
            self.display.note(f"{total.lines:,} published")
        return total

    def _lines(self, page: Iterable[Arrival]) -> Iterator[tuple[str, bytes]]:
        """Yield lines with their keys. Broken ones share a record with good ones of their symbol."""
        buckets = self.stack.settings.partition_buckets
        for arrival in page:
            line = arrival.line if isinstance(arrival, BrokenLine) else encode_trade(arrival)
            yield partition_key(arrival.symbol, buckets), line

    def _redrive(self, processing: EventSourcePoller) -> int:
        """Publish again what was given up, and process it; return the number of lines."""
        self.display.started("Redrive what was given up")
        lines = ((record.partition_key, line) for record in given_up_records(self._store) for line in record.lines)
        report = self._publisher.publish_lines(lines, time.time_ns() + STALLED_SECONDS * 10**9)
        processing.run_until_idle(timeout_seconds=STALLED_SECONDS)
        self.display.finished(f"{report.published:,} lines")
        return report.published

    def _measure(self, traffic: LoadTraffic) -> LoadReport:
        self.display.started("Read the lake", self.ledger.rows)
        lake = read_lake(self._store, self.display.advanced)
        self.display.finished(f"{lake.rows_written:,} rows in {lake.files:,} raw files")
        self.display.started("Read queue, failed/ and state")
        queue = read_queue(self.stack)
        given_up = given_up_lines(given_up_records(self._store), lake, queue)
        items = state_items(self.stack)
        self.display.finished(f"{queue.messages:,} messages, {len(items):,} items")
        return LoadReport(
            ledger=self.ledger,
            traffic=traffic,
            lake=lake,
            queue=queue,
            given_up=given_up,
            items=items,
            average_windows=self.stack.settings.moving_average_windows,
            faults=self.faults.counts,
        )

    def _function(self) -> Handler:
        """Return the processor as its Lambda wires it, with faults around each adapter."""
        wiring = self.stack.wiring
        processor = Processor(
            dead_letters=FaultyQueue(wiring.dead_letters, self.faults),
            raw_store=FaultyRawStore(wiring.objects, self.faults),
            state_store=FaultyStateStore(wiring.state_table, self.faults),
            average_windows=wiring.settings.moving_average_windows,
            wait=back_off(time.sleep, Random(self.simulation.seed)),
            limits=wiring.arrival_limits,
            is_refusal=is_refusal,
        )
        return FaultyFunction(lambda event, _context: dict(processor.handle(event)), self.faults)


def _run(processing: EventSourcePoller, stop: threading.Event, progress: LoadProgress) -> None:
    try:
        processing.run(stop)
    finally:
        progress.stopped()
