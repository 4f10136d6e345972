"""The local event source mapping: which shards are read when, stepped by a caller or by threads.

moto stores records but runs nothing; this poller calls the handler for them with AWS's semantics. Its rules are in
`mapping` and `shard_lane`, its calls in `shard_consumer`, its messages in `failure_destination`.
"""

import threading
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stock_pipeline.errors import RetryableError
from stock_pipeline.local.event_source.observer import Counter, Counts
from stock_pipeline.local.event_source.shard_consumer import PollerWiring, ShardConsumer, Step
from stock_pipeline.local.event_source.shard_lane import LONG_AGO

DISCOVERY_INTERVAL = timedelta(seconds=10)
IDLE_READ_SECONDS = 1.0
"""How often an open shard without new records is read, as often as Lambda does."""


class NotDrainedError(RetryableError):
    """The stream was not drained in the time given: raise the time, or look at what the observer reports."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard and those that it was split or merged from."""

    shard_id: str
    parents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Poll:
    """What one round over all shards led to."""

    acted: bool
    is_idle: bool
    next_due_at: datetime | None


def readable(shards: Iterable[Shard], drained: Collection[str]) -> list[Shard]:
    """Shards to read now: parents come first, so that the order of a partition key survives a resharding."""
    shards = list(shards)
    # A parent that is older than the stream's retention is no longer listed.
    waiting_for = {shard.shard_id for shard in shards} - set(drained)
    return [shard for shard in shards if shard.shard_id in waiting_for and not shard.parents & waiting_for]


def mapping_uuid(stream_arn: str, function_arn: str) -> str:
    """The same id for the same stream and function, at every start."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{stream_arn} {function_arn}"))


class EventSourcePoller:
    """Calls a function for the records of a stream, as a Lambda event source mapping does.

    Either step it (`poll_once`, `run_until_idle`) or run it (`run`); not both at a time.
    """

    def __init__(self, wiring: PollerWiring) -> None:
        self._wiring = wiring
        self._counter = Counter(wiring.observer)
        self._consumers: dict[str, ShardConsumer] = {}
        self._shards: list[Shard] = []
        self._drained: set[str] = set()
        self._listing_is_stale = True
        self._listed_at = LONG_AGO
        self._crash: BaseException | None = None

    @property
    def counts(self) -> Counts:
        return self._counter.counts

    def poll_once(self, *, close_windows: bool = False) -> Poll:
        """One round: every readable shard is read and does what is due. Never waits.

        `close_windows` does not wait for the batching window once a shard has nothing more to give.
        """
        steps = [consumer.step(close_windows=close_windows) for consumer in self._readable_consumers()]
        closed = self._note_drained()
        return Poll(
            acted=closed or any(step.acted for step in steps),
            is_idle=not closed and all(step.is_idle for step in steps),
            next_due_at=min((step.next_due_at for step in steps if step.next_due_at), default=None),
        )

    def run_until_idle(self, *, close_windows: bool = True, timeout_seconds: float | None = None) -> Counts:
        """Poll until every shard is at its tip and nothing is in flight; `NotDrainedError` after the time-out.

        Waits for back-off (and, if asked to, windows) through the injected `wait`.
        """
        surroundings = self._wiring.surroundings
        started_at = surroundings.now()
        while not (poll := self.poll_once(close_windows=close_windows)).is_idle:
            now = surroundings.now()
            if timeout_seconds is not None and now - started_at > timedelta(seconds=timeout_seconds):
                raise NotDrainedError(f"not drained after {timeout_seconds} seconds: {self.counts}")
            if not poll.acted:
                surroundings.wait(_seconds_until(poll.next_due_at, now, at_most=IDLE_READ_SECONDS))
        return self.counts

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set, one thread a shard. What ends a handler's thread ends this call too.

        An invocation that is under way is finished first.
        """
        threads: dict[str, threading.Thread] = {}
        self._crash = None
        while not stop.is_set():
            try:
                consumers = self._readable_consumers()
            except Exception as error:
                self._counter.in_trouble("", "listing the shards", error)
                consumers = []
            for consumer in consumers:
                if consumer.shard_id not in threads:
                    threads[consumer.shard_id] = self._start(consumer, stop)
            stop.wait(IDLE_READ_SECONDS)
            self._note_drained()
        for thread in threads.values():
            thread.join()
        if self._crash is not None:
            raise self._crash

    def _start(self, consumer: ShardConsumer, stop: threading.Event) -> threading.Thread:
        thread = threading.Thread(target=self._run_shard, args=(consumer, stop), name=consumer.shard_id, daemon=True)
        thread.start()
        return thread

    def _run_shard(self, consumer: ShardConsumer, stop: threading.Event) -> None:
        try:
            while not stop.is_set() and not consumer.is_drained:
                step = self._step_safely(consumer)
                if not step.acted:
                    now = self._wiring.surroundings.now()
                    stop.wait(_seconds_until(step.next_due_at, now, at_most=IDLE_READ_SECONDS))
        except BaseException as crash:
            self._crash = crash
            stop.set()

    def _step_safely(self, consumer: ShardConsumer) -> Step:
        """A stream that can't be reached must not end the loop."""
        try:
            return consumer.step(in_parallel=True)
        except Exception as error:
            self._counter.in_trouble(consumer.shard_id, "reading the shard", error)
            return Step(acted=False, is_idle=False, next_due_at=None)

    def _readable_consumers(self) -> list[ShardConsumer]:
        now = self._wiring.surroundings.now()
        if self._listing_is_stale or now - self._listed_at >= DISCOVERY_INTERVAL:
            self._discover()
            self._listed_at, self._listing_is_stale = now, False
        return [self._consumers[shard.shard_id] for shard in readable(self._shards, self._drained)]

    def _discover(self) -> None:
        # Checkpoints of an earlier poller say that it, and not this one, had the first look.
        is_first = not self._shards and not self._wiring.checkpoints
        self._shards = self._list_shards()
        # LATEST is where the stream stood at the first look; a shard that came later is new from its start on.
        position = self._wiring.mapping.starting_position if is_first else "TRIM_HORIZON"
        for shard in self._shards:
            if shard.shard_id not in self._consumers:
                self._consumers[shard.shard_id] = ShardConsumer(self._wiring, shard.shard_id, position, self._counter)

    def _list_shards(self) -> list[Shard]:
        answer = self._wiring.kinesis.list_shards(StreamName=self._wiring.source.stream_name)
        shards = [_shard(entry) for entry in answer["Shards"]]
        while answer.get("NextToken"):
            answer = self._wiring.kinesis.list_shards(NextToken=answer["NextToken"])
            shards += [_shard(entry) for entry in answer["Shards"]]
        return shards

    def _note_drained(self) -> bool:
        """Whether shards came to their end, so that their children are to be listed and read."""
        drained = {consumer.shard_id for consumer in self._consumers.values() if consumer.is_drained}
        is_new = not drained <= self._drained
        self._drained |= drained
        self._listing_is_stale = self._listing_is_stale or is_new
        return is_new


def _shard(entry: dict[str, Any]) -> Shard:
    parents = (entry.get("ParentShardId"), entry.get("AdjacentParentShardId"))
    return Shard(entry["ShardId"], frozenset(parent for parent in parents if parent))


def _seconds_until(due_at: datetime | None, now: datetime, at_most: float) -> float:
    if due_at is None:
        return at_most
    return min(at_most, max(0.0, (due_at - now).total_seconds()))
