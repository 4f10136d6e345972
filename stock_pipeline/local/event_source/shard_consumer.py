"""Reading one shard and performing the lanes' actions: the calls behind `shard_lane`.

One consumer belongs to one shard and is stepped by one thread at a time. Which shards there are, in which order they
are read, and how time passes between steps is the business of `poller`.
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from stock_pipeline.local.event_source.failure_destination import FailedBatch, FailureDestination
from stock_pipeline.local.event_source.function_runtime import LocalFunction
from stock_pipeline.local.event_source.mapping import (
    Batch,
    Condition,
    EventSourceMapping,
    lane_number,
    plan_after,
)
from stock_pipeline.local.event_source.observer import Observer, SilentObserver
from stock_pipeline.local.event_source.shard_lane import (
    LONG_AGO,
    Action,
    Backoff,
    Checkpoint,
    Deliver,
    GiveUp,
    Invoke,
    Lane,
    Rest,
    after_delivery,
    after_failed_delivery,
    after_giving_up,
    after_invocation,
    close_window,
    next_action,
    receive,
)
from stock_pipeline.local.event_source.stream_record import EventSource, StreamRecord, kinesis_event, read_record
from stock_pipeline.local.event_source.surroundings import Surroundings

MAX_UNFINISHED_RECORDS = 10_000
"""Reading stops here until the slowest lane catches up: with several lanes one may lag behind the others."""

BATCHES_A_READ = 5
MAX_READ_RECORDS = 10_000

EXPIRED_ITERATOR = "ExpiredIteratorException"
RETRYABLE_READS = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "InternalFailure",
        "ServiceUnavailable",
    }
)


class KinesisClient(Protocol):
    """The part of boto3's Kinesis client that is used."""

    @property
    def list_shards(self) -> Any: ...

    @property
    def get_shard_iterator(self) -> Any: ...

    @property
    def get_records(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerWiring:
    """Everything that a poller works with.

    `checkpoints` maps shard ids to the last finished sequence number; a poller that gets the mapping of an earlier one
    goes on where that one stood.
    """

    kinesis: KinesisClient
    function: LocalFunction
    destination: FailureDestination
    mapping: EventSourceMapping
    source: EventSource
    mapping_uuid: str
    surroundings: Surroundings
    checkpoints: MutableMapping[str, str] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=Backoff)
    observer: Observer = field(default_factory=SilentObserver)


@dataclass(frozen=True, slots=True)
class LaneStep:
    """What one action of a lane led to."""

    lane: Lane
    finished: tuple[StreamRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a shard led to. `next_due_at` is None if only new records can make a difference."""

    acted: bool
    is_idle: bool
    next_due_at: datetime | None


LaneJob = tuple[int, Callable[[], LaneStep]]


class ShardConsumer:
    """One shard, from its starting position to its end."""

    def __init__(self, wiring: PollerWiring, shard_id: str, starting_position: str, observer: Observer) -> None:
        self.shard_id = shard_id
        self._wiring = wiring
        self._observer = observer
        self._starting_position = starting_position
        self._lanes = [Lane()] * wiring.mapping.parallelization_factor
        self._checkpoint = Checkpoint()
        self._last_read: str | None = wiring.checkpoints.get(shard_id)
        self._began_at: datetime | None = None
        self._iterator: str | None = None
        self._read_to_end = False
        self._at_tip = False
        self._failed_reads = 0
        self._read_not_before = LONG_AGO

    @property
    def is_drained(self) -> bool:
        """The shard is closed, and everything in it is done."""
        return self._read_to_end and not self._checkpoint

    @property
    def is_idle(self) -> bool:
        """Nothing is left to do now; an open shard may get more."""
        return (self._at_tip or self._read_to_end) and not self._checkpoint

    def step(self, *, close_windows: bool = False, in_parallel: bool = False) -> Step:
        """Read if a lane has room, then let every lane do one thing.

        `in_parallel` lets the lanes do it at the same time, as Lambda does; otherwise one after the other.
        """
        did_read = self._read_if_due()
        jobs, due = self._jobs(close_windows)
        for number, lane_step in _perform_all(jobs, self.shard_id if in_parallel else None):
            self._lanes[number] = lane_step.lane
            self._move_checkpoint(lane_step.finished)
            # While the function ran, more may have come.
            self._at_tip = False
        if self._wants_records() and self._failed_reads:
            due.append(self._read_not_before)
        return Step(did_read or bool(jobs), self.is_idle, min(due, default=None))

    def _wants_records(self) -> bool:
        mapping = self._wiring.mapping
        has_room = any(not lane.is_busy and len(lane.pending) < mapping.batch_size for lane in self._lanes)
        return not self._read_to_end and has_room and len(self._checkpoint) < MAX_UNFINISHED_RECORDS

    def _read_if_due(self) -> bool:
        """Whether records came, or the end of the shard."""
        if not self._wants_records() or self._wiring.surroundings.now() < self._read_not_before:
            return False
        try:
            answer = self._get_records()
        except Exception as error:
            self._note_failed_read(error)
            return False
        self._failed_reads = 0
        self._take(answer)
        return bool(answer["Records"]) or self._read_to_end

    def _get_records(self) -> Any:
        kinesis, mapping = self._wiring.kinesis, self._wiring.mapping
        if self._iterator is None:
            position = self._position()
            self._began_at = self._began_at or self._wiring.surroundings.now()
            self._iterator = kinesis.get_shard_iterator(**position)["ShardIterator"]
        limit = min(MAX_READ_RECORDS, BATCHES_A_READ * mapping.batch_size * mapping.parallelization_factor)
        return kinesis.get_records(ShardIterator=self._iterator, Limit=limit)

    def _position(self) -> dict[str, Any]:
        # By name: iterators that moto makes for an ARN find no stream.
        shard = {"StreamName": self._wiring.source.stream_name, "ShardId": self.shard_id}
        if self._last_read is not None:
            after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._last_read}
            return shard | after
        if self._starting_position == "LATEST" and self._began_at is not None:
            # LATEST asked for a second time would be later, and skip what came in between.
            return shard | {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._began_at}
        return shard | {"ShardIteratorType": self._starting_position}

    def _note_failed_read(self, error: Exception) -> None:
        code = _error_code(error)
        if code == EXPIRED_ITERATOR:
            self._iterator = None
        elif code not in RETRYABLE_READS:
            raise error
        self._at_tip = False
        self._read_not_before = self._after_failures(self._failed_reads)
        self._failed_reads += 1
        self._observer.in_trouble(self.shard_id, "reading the shard", error)

    def _take(self, answer: Any) -> None:
        source, now = self._wiring.source, self._wiring.surroundings.now()
        records = [read_record(source, self.shard_id, record) for record in answer["Records"]]
        self._checkpoint.read(records)
        numbers = [lane_number(self._wiring.mapping, record.partition_key) for record in records]
        for number, lane in enumerate(self._lanes):
            mine = tuple(record for record, its in zip(records, numbers, strict=True) if its == number)
            self._lanes[number] = receive(lane, mine, now)
        if records:
            self._last_read = records[-1].sequence_number
        self._iterator = answer.get("NextShardIterator")
        self._read_to_end = self._iterator is None
        # MillisBehindLatest alone does not do: emulators round the last millisecond of records away.
        self._at_tip = not records and answer["MillisBehindLatest"] == 0

    def _jobs(self, close_windows: bool) -> tuple[list[LaneJob], list[datetime]]:
        """What the lanes have to do now, and when those that rest are due again."""
        jobs: list[LaneJob] = []
        due: list[datetime] = []
        now = self._wiring.surroundings.now()
        # A closed shard gets nothing more to wait for.
        at_once = self._read_to_end or (close_windows and self._at_tip)
        for number, lane in enumerate(self._lanes):
            ready = close_window(self._wiring.mapping, lane, now, at_once)
            action = next_action(self._wiring.mapping, ready, now)
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
                return LaneStep(after_giving_up(lane, self._failed_batch(batch, condition)))
            case Deliver(failed):
                return self._deliver(lane, failed)
            case Rest():
                return LaneStep(lane)

    def _invoke(self, lane: Lane, batch: Batch) -> LaneStep:
        wiring = self._wiring
        self._observer.batch_started(self.shard_id, batch)
        event = kinesis_event(wiring.source, self.shard_id, batch.records)
        invocation = wiring.function.invoke(event, wiring.surroundings)
        plan = plan_after(wiring.mapping, batch, invocation)
        if invocation.error is not None:
            self._observer.in_trouble(self.shard_id, "calling the function", invocation.error)
        self._observer.batch_finished(self.shard_id, batch, plan)
        after = after_invocation(lane, plan, self._after_failures(batch.retries_used))
        if plan.given_up is not None:
            failed = self._failed_batch(plan.given_up, Condition.RETRY_ATTEMPTS_EXHAUSTED)
            after = after_giving_up(after, failed)
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
            request_id=last.request_id if last else str(wiring.surroundings.new_uuid()),
            failed_at=wiring.surroundings.now(),
            object_uuid=wiring.surroundings.new_uuid(),
        )

    def _deliver(self, lane: Lane, failed: FailedBatch) -> LaneStep:
        try:
            self._wiring.destination.deliver(failed)
        except Exception as error:
            self._observer.in_trouble(self.shard_id, "sending to the destination", error)
            return LaneStep(after_failed_delivery(lane, self._after_failures(lane.failed_deliveries)))
        self._observer.sent_to_destination(failed)
        return LaneStep(after_delivery(lane), failed.batch.records)

    def _after_failures(self, failures: int) -> datetime:
        surroundings = self._wiring.surroundings
        return surroundings.now() + self._wiring.backoff.delay(failures, surroundings.jitter)

    def _move_checkpoint(self, finished: Iterable[StreamRecord]) -> None:
        reached = self._checkpoint.finish(finished)
        if reached is not None:
            self._wiring.checkpoints[self.shard_id] = reached


def _perform_all(jobs: list[LaneJob], threads_name: str | None) -> Iterator[tuple[int, LaneStep]]:
    """Results in the order of the jobs; at the same time if the threads have a name."""
    if threads_name is None or len(jobs) < 2:
        yield from ((number, job()) for number, job in jobs)
        return
    with ThreadPoolExecutor(len(jobs), thread_name_prefix=threads_name) as pool:
        futures = [(number, pool.submit(job)) for number, job in jobs]
        for number, future in futures:
            yield number, future.result()


def _error_code(error: Exception) -> str | None:
    """The service's error code of a boto3 error."""
    response = getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
