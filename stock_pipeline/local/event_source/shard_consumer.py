"""Stepping one shard: reading it, and performing its lanes' actions.

One thread at a time steps a consumer. Which shards there are, their order and timing belong to `poller`.
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.local.event_source.checkpoint import Checkpoint
from stock_pipeline.local.event_source.failure_destination import FailedBatch, FailureDestination
from stock_pipeline.local.event_source.function_runtime import LocalFunction
from stock_pipeline.local.event_source.machine import Machine
from stock_pipeline.local.event_source.mapping import (
    Batch,
    Condition,
    EventSourceMapping,
    lane_number,
    plan_after,
)
from stock_pipeline.local.event_source.observer import PollerObserver, SilentObserver
from stock_pipeline.local.event_source.shard_lane import (
    LONG_AGO,
    Action,
    Deliver,
    GiveUp,
    Invoke,
    Lane,
    Rest,
)
from stock_pipeline.local.event_source.shard_reader import KinesisClient, ShardReader, is_retryable
from stock_pipeline.local.event_source.shard_record import EventSource, ShardRecord, kinesis_event

MAX_UNFINISHED_RECORDS = 10_000
"""Reading stops here until the slowest lane catches up."""

BACK_OFF = BackOff(first_seconds=1.0, longest_seconds=60.0, certain_share=0.5)

BATCHES_A_READ = 5
MAX_READ_RECORDS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerWiring:
    """Everything that a poller works with.

    checkpoints: last finished sequence number by shard id. An earlier poller's checkpoints continue its work.
    """

    kinesis: KinesisClient
    function: LocalFunction
    destination: FailureDestination
    mapping: EventSourceMapping
    source: EventSource
    mapping_uuid: str
    machine: Machine
    checkpoints: MutableMapping[str, str] = field(default_factory=dict)
    back_off: BackOff = BACK_OFF
    observer: PollerObserver = field(default_factory=SilentObserver)


@dataclass(frozen=True, slots=True)
class LaneStep:
    """Result of one action of a lane."""

    lane: Lane
    finished: tuple[ShardRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Result of one step of a shard.

    next_due_at: None if only new records can change anything.
    """

    acted: bool
    is_idle: bool
    next_due_at: datetime | None


LaneJob = tuple[int, Callable[[], LaneStep]]


class ShardConsumer:
    """One shard, processed from its starting position to its end."""

    def __init__(self, wiring: PollerWiring, shard_id: str, starting_position: str, observer: PollerObserver) -> None:
        self.shard_id = shard_id
        self._wiring = wiring
        self._observer = observer
        self._lanes = [Lane()] * wiring.mapping.parallelization_factor
        self._checkpoint = Checkpoint()
        self._reader = ShardReader(
            wiring.kinesis,
            wiring.source,
            shard_id,
            starting_position,
            last_read=wiring.checkpoints.get(shard_id),
            machine=wiring.machine,
        )
        self._at_tip = False
        self._failed_reads = 0
        self._read_not_before = LONG_AGO

    @property
    def is_drained(self) -> bool:
        """Return whether the shard is closed and all of it is done."""
        return self._reader.at_end and not self._checkpoint

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is left to do now; an open shard may get more."""
        return (self._at_tip or self._reader.at_end) and not self._checkpoint

    def step(self, *, close_windows: bool = False, in_parallel: bool = False) -> Step:
        """Read if a lane has room, then let every lane do one thing.

        in_parallel: the lanes do it at the same time, as in Lambda.
        """
        did_read = self._read_if_due()
        jobs, due = self._jobs(close_windows)
        for number, lane_step in _perform_all(jobs, self.shard_id if in_parallel else None):
            self._lanes[number] = lane_step.lane
            self._move_checkpoint(lane_step.finished)
            # More records may have come while the function ran.
            self._at_tip = False
        if self._wants_records() and self._failed_reads:
            due.append(self._read_not_before)
        return Step(did_read or bool(jobs), self.is_idle, min(due, default=None))

    def _wants_records(self) -> bool:
        mapping = self._wiring.mapping
        has_room = any(lane.has_room(mapping) for lane in self._lanes)
        return not self._reader.at_end and has_room and len(self._checkpoint) < MAX_UNFINISHED_RECORDS

    def _read_if_due(self) -> bool:
        """Read if it is time; return whether records or the shard's end came."""
        if not self._wants_records() or self._wiring.machine.now() < self._read_not_before:
            return False
        mapping = self._wiring.mapping
        limit = min(MAX_READ_RECORDS, BATCHES_A_READ * mapping.batch_size * mapping.parallelization_factor)
        try:
            read = self._reader.read(limit)
        except Exception as error:
            self._note_failed_read(error)
            return False
        self._failed_reads = 0
        self._at_tip = read.at_tip
        self._take(read.records)
        return bool(read.records) or self._reader.at_end

    def _note_failed_read(self, error: Exception) -> None:
        if not is_retryable(error):
            raise error
        self._at_tip = False
        self._read_not_before = self._after_failures(self._failed_reads)
        self._failed_reads += 1
        self._observer.in_trouble(self.shard_id, "reading the shard", error)

    def _take(self, records: Sequence[ShardRecord]) -> None:
        now = self._wiring.machine.now()
        self._checkpoint.read(records)
        numbers = [lane_number(self._wiring.mapping, record.partition_key) for record in records]
        for number, lane in enumerate(self._lanes):
            mine = tuple(record for record, its in zip(records, numbers, strict=True) if its == number)
            self._lanes[number] = lane.after_reading(mine, now)

    def _jobs(self, close_windows: bool) -> tuple[list[LaneJob], list[datetime]]:
        """Return the lanes' work now, and when resting lanes are due again."""
        jobs: list[LaneJob] = []
        due: list[datetime] = []
        now = self._wiring.machine.now()
        # A closed shard gets nothing more.
        at_once = self._reader.at_end or (close_windows and self._at_tip)
        for number, lane in enumerate(self._lanes):
            ready = lane.with_due_batch(self._wiring.mapping, now, at_once)
            action = ready.next_action(self._wiring.mapping, now)
            if not isinstance(action, Rest):
                jobs.append((number, partial(self._perform, ready, action)))
            elif action.until is not None:
                due.append(action.until)
        return jobs, due

    def _perform(self, lane: Lane, action: Action) -> LaneStep:
        match action:
            case Invoke(batch):
                return self._invoke(lane, batch)
            case GiveUp(batch, condition):
                return LaneStep(lane.after_giving_up(self._failed_batch(batch, condition)))
            case Deliver(failed):
                return self._deliver(lane, failed)
            case Rest():
                return LaneStep(lane)

    def _invoke(self, lane: Lane, batch: Batch) -> LaneStep:
        wiring = self._wiring
        self._observer.batch_started(self.shard_id, batch)
        event = kinesis_event(wiring.source, self.shard_id, batch.records)
        invocation = wiring.function.invoke(event, wiring.machine)
        plan = plan_after(wiring.mapping, batch, invocation)
        if invocation.error is not None:
            self._observer.in_trouble(self.shard_id, "calling the function", invocation.error)
        self._observer.batch_finished(self.shard_id, batch, plan)
        after = lane.after_invocation(plan, self._after_failures(batch.retries_used))
        if plan.given_up is not None:
            failed = self._failed_batch(plan.given_up, Condition.RETRY_ATTEMPTS_EXHAUSTED)
            after = after.after_giving_up(failed)
        return LaneStep(after, plan.done)

    def _failed_batch(self, batch: Batch, condition: Condition) -> FailedBatch:
        wiring, last = self._wiring, batch.last_invocation
        return FailedBatch(
            batch=batch,
            condition=condition,
            source=wiring.source,
            shard_id=self.shard_id,
            mapping_uuid=wiring.mapping_uuid,
            function_arn=wiring.function.function_arn,
            request_id=last.request_id if last else str(wiring.machine.new_uuid()),
            failed_at=wiring.machine.now(),
            object_uuid=wiring.machine.new_uuid(),
        )

    def _deliver(self, lane: Lane, failed: FailedBatch) -> LaneStep:
        try:
            self._wiring.destination.deliver(failed)
        except Exception as error:
            self._observer.in_trouble(self.shard_id, "sending to the destination", error)
            return LaneStep(lane.after_failed_delivery(self._after_failures(lane.failed_deliveries)))
        self._observer.sent_to_destination(failed)
        return LaneStep(lane.after_delivery(), failed.batch.records)

    def _after_failures(self, failures: int) -> datetime:
        machine = self._wiring.machine
        pause = self._wiring.back_off.seconds(failures + 1, machine.jitter)
        return machine.now() + timedelta(seconds=pause)

    def _move_checkpoint(self, finished: Iterable[ShardRecord]) -> None:
        reached = self._checkpoint.finish(finished)
        if reached is not None:
            self._wiring.checkpoints[self.shard_id] = reached


def _perform_all(jobs: list[LaneJob], threads_name: str | None) -> Iterator[tuple[int, LaneStep]]:
    """Yield results in the order of the jobs. Named threads do the jobs at the same time."""
    if threads_name is None or len(jobs) < 2:
        yield from ((number, job()) for number, job in jobs)
        return
    with ThreadPoolExecutor(len(jobs), thread_name_prefix=threads_name) as pool:
        futures = [(number, pool.submit(job)) for number, job in jobs]
        for number, future in futures:
            yield number, future.result()
