"""One lane of a shard between two steps, and its next action.

Frozen values and pure transitions: a step that dies halfway skips nothing, because the lane stays as it was.
"""

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
from stock_pipeline.local.event_source.shard_record import ShardRecord, event_bytes

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call the function with the batch."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Take the batch out of the lane; the destination gets it next."""

    batch: Batch
    condition: Condition


@dataclass(frozen=True, slots=True)
class Deliver:
    """Send the batch to the destination."""

    failed: FailedBatch


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing until then; until more records come if it is None."""

    until: datetime | None


Action = Invoke | GiveUp | Deliver | Rest


@dataclass(frozen=True, slots=True)
class Lane:
    """Records of one shard, handled one batch after the other.

    Their order: `undelivered`, then `work` from its head on, then `pending`. Nothing overtakes what is in front of it.
    """

    pending: tuple[ShardRecord, ...] = ()
    window_opened_at: datetime = LONG_AGO
    work: tuple[Batch, ...] = ()
    undelivered: FailedBatch | None = None
    failed_deliveries: int = 0
    not_before: datetime = LONG_AGO

    @property
    def is_busy(self) -> bool:
        return bool(self.work) or self.undelivered is not None

    def has_room(self, mapping: EventSourceMapping) -> bool:
        return not self.is_busy and len(self.pending) < mapping.batch_size

    def next_action(self, mapping: EventSourceMapping, now: datetime) -> Action:
        if not self.is_busy:
            return Rest(self.window_opened_at + mapping.batching_window if self.pending else None)
        if now < self.not_before:
            return Rest(self.not_before)
        if self.undelivered is not None:
            return Deliver(self.undelivered)
        batch = self.work[0]
        expired = expired_records(mapping, batch, now)
        if expired:
            return GiveUp(replace(batch, records=batch.records[:expired]), Condition.RECORD_AGE_EXCEEDED)
        if event_bytes(batch.records) > MAX_EVENT_BYTES:
            # A single record can be larger than Lambda's limit, and no retry makes it smaller.
            return GiveUp(batch, Condition.RETRY_ATTEMPTS_EXHAUSTED)
        return Invoke(batch)

    def with_due_batch(self, mapping: EventSourceMapping, now: datetime, at_once: bool) -> "Lane":
        """Make a batch of pending records if it is full, its window is over, or `at_once` is set."""
        if self.is_busy or not self.pending:
            return self
        waited = now - self.window_opened_at >= mapping.batching_window
        if not (waited or at_once or is_full(mapping, self.pending)):
            return self
        records = first_batch(mapping, self.pending)
        pending = self.pending[len(records) :]
        return replace(self, work=(Batch(records),), pending=pending, window_opened_at=now, not_before=LONG_AGO)

    def after_reading(self, records: tuple[ShardRecord, ...], now: datetime) -> "Lane":
        """Append the records. The first record of a batch opens its window."""
        if not records:
            return self
        opened_at = self.window_opened_at if self.pending else now
        return replace(self, pending=self.pending + records, window_opened_at=opened_at)

    def after_invocation(self, plan: Plan, again_at: datetime) -> "Lane":
        """Carry out the plan. A batch that it gives up stays in front until `after_giving_up`."""
        if plan.given_up is not None:
            return replace(self, work=(plan.given_up, *self.work[1:]))
        not_before = again_at if plan.again else LONG_AGO
        return replace(self, work=plan.again + self.work[1:], not_before=not_before)

    def after_giving_up(self, failed: FailedBatch) -> "Lane":
        """Take the failed records out of the front batch."""
        batch = self.work[0]
        left = batch.records[len(failed.batch.records) :]
        work = ((replace(batch, records=left),) if left else ()) + self.work[1:]
        return replace(self, work=work, undelivered=failed, failed_deliveries=0, not_before=LONG_AGO)

    def after_delivery(self) -> "Lane":
        return replace(self, undelivered=None, failed_deliveries=0, not_before=LONG_AGO)

    def after_failed_delivery(self, again_at: datetime) -> "Lane":
        return replace(self, failed_deliveries=self.failed_deliveries + 1, not_before=again_at)
