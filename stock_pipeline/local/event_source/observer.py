"""What the poller reports: events to a `PollerObserver`, and the `Counts` of all.

With several shards, several threads call an observer at a time.
"""

import threading
from dataclasses import dataclass, replace
from typing import Protocol

from stock_pipeline.local.event_source.failure_destination import FailedBatch
from stock_pipeline.local.event_source.mapping import Batch, Plan


class PollerObserver(Protocol):
    """Listener that hears of every record that was read."""

    def batch_started(self, shard_id: str, batch: Batch) -> None:
        """Note that the function is about to be called."""

    def batch_finished(self, shard_id: str, batch: Batch, plan: Plan) -> None:
        """Note the answer. The plan says what is done, tried again and given up."""

    def sent_to_destination(self, failed: FailedBatch) -> None:
        """Note that the destination has the message."""

    def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None:
        """Note a failed read, invocation or delivery."""


class SilentObserver:
    """Observer that does nothing: a base for others."""

    def batch_started(self, shard_id: str, batch: Batch) -> None: ...

    def batch_finished(self, shard_id: str, batch: Batch, plan: Plan) -> None: ...

    def sent_to_destination(self, failed: FailedBatch) -> None: ...

    def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None: ...


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums since the poller was made.

    Once drained, without a crash: records read = delivered + sent to the destination.
    """

    invocations: int = 0
    function_errors: int = 0
    records_delivered: int = 0
    records_retried: int = 0
    records_sent_to_destination: int = 0
    messages_sent_to_destination: int = 0
    troubles: int = 0


class Counter:
    """Observer that counts and passes on."""

    def __init__(self, then: PollerObserver) -> None:
        self._then = then
        self._lock = threading.Lock()
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        return self._counts

    def batch_started(self, shard_id: str, batch: Batch) -> None:
        self._add(invocations=1)
        self._then.batch_started(shard_id, batch)

    def batch_finished(self, shard_id: str, batch: Batch, plan: Plan) -> None:
        left = plan.again[0] if plan.again else plan.given_up
        invocation = left.last_invocation if left else None
        self._add(
            function_errors=int(invocation is not None and invocation.function_error is not None),
            records_delivered=len(plan.done),
            records_retried=sum(len(again.records) for again in plan.again),
        )
        self._then.batch_finished(shard_id, batch, plan)

    def sent_to_destination(self, failed: FailedBatch) -> None:
        self._add(records_sent_to_destination=len(failed.batch.records), messages_sent_to_destination=1)
        self._then.sent_to_destination(failed)

    def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None:
        self._add(troubles=1)
        self._then.in_trouble(shard_id, doing, error)

    def _add(self, **increments: int) -> None:
        with self._lock:
            sums = {name: getattr(self._counts, name) + by for name, by in increments.items()}
            self._counts = replace(self._counts, **sums)
