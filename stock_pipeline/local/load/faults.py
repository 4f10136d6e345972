"""Faults on demand, put around the real adapters of streams, tables, stores, queues and functions.

Each wrapper fails as the service behind it can fail, before or after the effect. `Faults` decides whether, and counts.
"""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.local.event_source.function_runtime import FunctionTimedOutError, Handler
from stock_pipeline.state.rows import NewState
from stock_pipeline.state.stored_item import StoredItem
from stock_pipeline.streaming.ports import DeadLetterQueue, Objects, StateStore, Stream
from stock_pipeline.streaming.record_packing import PackedRecord

SURE_AT = 2
"""The opportunity at which each fault happens whatever its rate, so that small runs meet all of them."""


class Fault(StrEnum):
    """A way to fail, under its name in reports."""

    PUT_REFUSED = "put_refused"
    PUT_LOST = "put_lost"
    PUT_TIMED_OUT_AFTER = "put_timed_out_after"
    PUT_REFUSED_FOR_GOOD = "put_refused_for_good"
    STATE_READ_THROTTLED = "state_read_throttled"
    STATE_WRITE_THROTTLED = "state_write_throttled"
    STATE_CONFLICT = "state_conflict"
    STATE_ANSWER_LOST = "state_answer_lost"
    STORE_FAILED_BEFORE = "store_failed_before"
    STORE_FAILED_AFTER = "store_failed_after"
    QUEUE_SENT_HALF = "queue_sent_half"
    FUNCTION_CRASHED = "function_crashed"
    FUNCTION_TIMED_OUT_AFTER = "function_timed_out_after"
    FUNCTION_POISONED = "function_poisoned"


RATES: Mapping[Fault, float] = {
    # of the records of a call
    Fault.PUT_REFUSED: 0.02,
    # of the calls
    Fault.PUT_LOST: 0.02,
    Fault.PUT_TIMED_OUT_AFTER: 0.02,
    Fault.PUT_REFUSED_FOR_GOOD: 0.01,
    Fault.STATE_READ_THROTTLED: 0.01,
    Fault.STATE_WRITE_THROTTLED: 0.02,
    Fault.STATE_CONFLICT: 0.01,
    Fault.STATE_ANSWER_LOST: 0.01,
    Fault.STORE_FAILED_BEFORE: 0.02,
    Fault.STORE_FAILED_AFTER: 0.02,
    Fault.QUEUE_SENT_HALF: 0.1,
    # of the invocations
    Fault.FUNCTION_CRASHED: 0.02,
    Fault.FUNCTION_TIMED_OUT_AFTER: 0.02,
    Fault.FUNCTION_POISONED: 0.01,
}
"""A bad day: about twenty of a hundred invocations meet a fault."""


class Faults:
    """Choice of what fails, from a seed, with counts. Threads may share it; their order is up to chance."""

    def __init__(self, rates: Mapping[Fault, float], seed: int) -> None:
        """Let only the faults in `rates` happen."""
        self._rates = dict(rates)
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._opportunities: Counter[Fault] = Counter()
        self._counts: Counter[Fault] = Counter()

    @property
    def counts(self) -> dict[Fault, int]:
        with self._lock:
            return {fault: self._counts[fault] for fault in Fault if self._counts[fault]}

    def happens(self, fault: Fault) -> bool:
        with self._lock:
            rate = self._rates.get(fault)
            if rate is None:
                return False
            self._opportunities[fault] += 1
            happens = self._opportunities[fault] == SURE_AT or self._chance.random() < rate
            self._counts[fault] += happens
            return happens

    def stop(self) -> None:
        """Let nothing fail from now on."""
        with self._lock:
            self._rates.clear()

    @property
    def are_over(self) -> bool:
        return not self._rates


class FaultyStream:
    """A stream that refuses records, loses calls or their answers, and refuses some records always."""

    def __init__(self, inner: Stream, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        self._never: set[bytes] = set()

    def put(self, records: Sequence[PackedRecord]) -> list[str | None]:
        faults = self._faults
        if faults.happens(Fault.PUT_REFUSED_FOR_GOOD):
            self._never.add(records[-1].data)
        if faults.happens(Fault.PUT_LOST):
            return ["EndpointConnectionError"] * len(records)
        refused = [
            (record.data in self._never and not faults.are_over) or faults.happens(Fault.PUT_REFUSED)
            for record in records
        ]
        taken = [record for record, is_refused in zip(records, refused, strict=True) if not is_refused]
        answers = iter(self._inner.put(taken) if taken else ())
        if faults.happens(Fault.PUT_TIMED_OUT_AFTER):
            return ["ReadTimeoutError"] * len(records)
        return ["ProvisionedThroughputExceededException" if is_refused else next(answers) for is_refused in refused]


@dataclass(frozen=True)
class FaultyStateStore:
    """A state table that throttles, meets another writer, and reports its own writes as conflicts."""

    inner: StateStore
    faults: Faults

    def read_once(self, keys: Sequence[SymbolKey]) -> tuple[Mapping[SymbolKey, StoredItem], Sequence[SymbolKey]]:
        if self.faults.happens(Fault.STATE_READ_THROTTLED):
            raise RetryableError("injected: DynamoDB left keys unread; try again")
        return self.inner.read_once(keys)

    def put(self, state: NewState, replaces: str | None) -> StoredItem:
        if self.faults.happens(Fault.STATE_WRITE_THROTTLED):
            raise RetryableError(f"injected: DynamoDB refused to write {state.key}; try again")
        if self.faults.happens(Fault.STATE_CONFLICT):
            raise StateConflictError(f"injected: {state.key} was written by another writer; read it again")
        item = self.inner.put(state, replaces)
        if self.faults.happens(Fault.STATE_ANSWER_LOST):
            # boto3 repeats a write whose answer is lost, and the repeat fails on its own condition
            raise StateConflictError(f"injected: {state.key} was written by our own lost call; read it again")
        return item


@dataclass(frozen=True)
class FaultyRawStore:
    """A bucket that answers 503, before or after it wrote the object."""

    inner: Objects
    faults: Faults

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if self.faults.happens(Fault.STORE_FAILED_BEFORE):
            raise _slow_down()
        is_new = self.inner.put_if_absent(key, body)
        if self.faults.happens(Fault.STORE_FAILED_AFTER):
            raise _slow_down()
        return is_new


@dataclass(frozen=True)
class FaultyQueue:
    """A queue that takes half of what it is sent, then fails."""

    inner: DeadLetterQueue
    faults: Faults

    def send(self, documents: Sequence[bytes]) -> None:
        if self.faults.happens(Fault.QUEUE_SENT_HALF):
            self.inner.send(documents[: len(documents) // 2])
            raise RetryableError("injected: messages could not be sent; try again")
        self.inner.send(documents)


class FaultyFunction:
    """A function that crashes before its work, times out after it, and always dies of certain records."""

    def __init__(self, handler: Handler, faults: Faults) -> None:
        self._handler = handler
        self._faults = faults
        self._poison: set[str] = set()

    def __call__(self, event: Any, context: Any) -> Any:
        event_ids = [record["eventID"] for record in event["Records"]]
        if self._faults.happens(Fault.FUNCTION_POISONED):
            self._poison.add(event_ids[-1])
        if not self._faults.are_over and not self._poison.isdisjoint(event_ids):
            raise MemoryError("injected: this record takes the function down")
        if self._faults.happens(Fault.FUNCTION_CRASHED):
            raise MemoryError("injected: the function went down before its work")
        answer = self._handler(event, context)
        if self._faults.happens(Fault.FUNCTION_TIMED_OUT_AFTER):
            raise FunctionTimedOutError("injected: Task timed out after its work was done")
        return answer


def _slow_down() -> ClientError:
    return ClientError(
        {"Error": {"Code": "SlowDown", "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": 503}},  # type: ignore[typeddict-item]
        "PutObject",
    )
