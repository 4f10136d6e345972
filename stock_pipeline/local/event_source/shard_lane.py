"""The state of one shard between two steps: its lanes, their next action, and the checkpoint.

Frozen values and pure transitions. A step that dies halfway leaves the lane as it was, so nothing is skipped; the calls
that the actions stand for are made in `shard_consumer`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from stock_pipeline.local.event_source.failure_destination import FailedBatch
from stock_pipeline.local.event_source.mapping import (
    MAX_EVENT_BYTES,
    Batch,
    Condition,
    EventSourceMapping,
    Plan,
    expired_records,
    first_batch,
    is_full,
)
from stock_pipeline.local.event_source.stream_record import StreamRecord, event_bytes

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call the function with the batch."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Take the batch out of the lane's work: it goes to the destination next."""

    batch: Batch
    condition: Condition


@dataclass(frozen=True, slots=True)
class Deliver:
    """Send the batch to the destination."""

    failed: FailedBatch


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do until then; None: until more records come."""

    until: datetime | None


Action = Invoke | GiveUp | Deliver | Rest


@dataclass(frozen=True, slots=True)
class Lane:
    """Records of one shard that are handled one batch after the other.

    The order of a lane: `undelivered`, then `work` from its head on, then `pending`. Nothing behind moves before
    what is in front is done.
    """

    pending: tuple[StreamRecord, ...] = ()
    window_opened_at: datetime = LONG_AGO
    work: tuple[Batch, ...] = ()
    undelivered: FailedBatch | None = None
    failed_deliveries: int = 0
    not_before: datetime = LONG_AGO

    @property
    def is_busy(self) -> bool:
        return bool(self.work) or self.undelivered is not None


def receive(lane: Lane, records: tuple[StreamRecord, ...], now: datetime) -> Lane:
    """The batching window opens with the first record of a batch."""
    if not records:
        return lane
    opened_at = lane.window_opened_at if lane.pending else now
    return replace(lane, pending=lane.pending + records, window_opened_at=opened_at)


def close_window(mapping: EventSourceMapping, lane: Lane, now: datetime, at_once: bool) -> Lane:
    """Make a batch of what is pending, if it is full, its window is over, or `at_once` says not to wait."""
    if lane.is_busy or not lane.pending:
        return lane
    waited = now - lane.window_opened_at >= mapping.batching_window
    if not (waited or at_once or is_full(mapping, lane.pending)):
        return lane
    records = first_batch(mapping, lane.pending)
    return replace(
        lane, work=(Batch(records),), pending=lane.pending[len(records) :], window_opened_at=now, not_before=LONG_AGO
    )


def next_action(mapping: EventSourceMapping, lane: Lane, now: datetime) -> Action:
    if not lane.is_busy:
        return Rest(lane.window_opened_at + mapping.batching_window if lane.pending else None)
    if now < lane.not_before:
        return Rest(lane.not_before)
    if lane.undelivered is not None:
        return Deliver(lane.undelivered)
    batch = lane.work[0]
    expired = expired_records(mapping, batch, now)
    if expired:
        return GiveUp(replace(batch, records=batch.records[:expired]), Condition.RECORD_AGE_EXCEEDED)
    if event_bytes(batch.records) > MAX_EVENT_BYTES:
        # A single record can be larger than what Lambda takes: no retry makes it smaller.
        return GiveUp(batch, Condition.RETRY_ATTEMPTS_EXHAUSTED)
    return Invoke(batch)


def after_invocation(lane: Lane, plan: Plan, again_at: datetime) -> Lane:
    """The lane once a plan is carried out; a batch that the plan gives up stays in front until `after_giving_up`."""
    if plan.given_up is not None:
        return replace(lane, work=(plan.given_up, *lane.work[1:]))
    not_before = again_at if plan.again else LONG_AGO
    return replace(lane, work=plan.again + lane.work[1:], not_before=not_before)


def after_giving_up(lane: Lane, failed: FailedBatch) -> Lane:
    """Records of the front batch that were not given up stay in front."""
    batch = lane.work[0]
    left = batch.records[len(failed.batch.records) :]
    work = ((replace(batch, records=left),) if left else ()) + lane.work[1:]
    return replace(lane, work=work, undelivered=failed, failed_deliveries=0, not_before=LONG_AGO)


def after_delivery(lane: Lane) -> Lane:
    return replace(lane, undelivered=None, failed_deliveries=0, not_before=LONG_AGO)


def after_failed_delivery(lane: Lane, again_at: datetime) -> Lane:
    return replace(lane, failed_deliveries=lane.failed_deliveries + 1, not_before=again_at)


class Checkpoint:
    """The last record of a shard before which everything is done.

    Lanes finish out of order; the checkpoint only moves over a gapless run of finished records.
    """

    def __init__(self) -> None:
        self._unfinished: deque[str] = deque()
        self._finished_ahead: set[str] = set()

    def __len__(self) -> int:
        """Records that were read and lie behind the checkpoint."""
        return len(self._unfinished)

    def read(self, records: Iterable[StreamRecord]) -> None:
        self._unfinished.extend(record.sequence_number for record in records)

    def finish(self, records: Iterable[StreamRecord]) -> str | None:
        """The sequence number to which the checkpoint moves, or None if it stays."""
        self._finished_ahead.update(record.sequence_number for record in records)
        reached = None
        while self._unfinished and self._unfinished[0] in self._finished_ahead:
            reached = self._unfinished.popleft()
            self._finished_ahead.remove(reached)
        return reached
