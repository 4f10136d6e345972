"""The local event source mapping: which shards are read when, stepped by a caller or by threads.

Rules: `mapping`, `shard_lane`. Calls: `shard_consumer`, `shard_reader`. Messages: `failure_destination`.
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
"""Pause between reads of an open shard without new records, as in Lambda."""


class NotDrainedError(RetryableError):
    """The stream was not drained in the time given."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard, and those it was split or merged from."""

    shard_id: str
    parents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Poll:
    """Result of one round over all shards."""

    acted: bool
    is_idle: bool
    next_due_at: datetime | None


def readable(shards: Iterable[Shard], drained: Collection[str]) -> list[Shard]:
    """Return the shards to read now: parents first, to keep a key's order through a resharding."""
    shards = list(shards)
    # A parent older than the stream's retention is no longer listed.
    waiting_for = {shard.shard_id for shard in shards} - set(drained)
    return [shard for shard in shards if shard.shard_id in waiting_for and not shard.parents & waiting_for]


def mapping_uuid(stream_arn: str, function_arn: str) -> str:
    """Return the id of a stream and a function, the same at every start."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{stream_arn} {function_arn}"))


class EventSourcePoller:
    """A Lambda event source mapping's stand-in: it calls a function for a stream's records.

    Either step it (`poll_once`, `run_until_idle`) or run it (`run`), not both at a time.
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
        """Step every readable shard once. Never waits.

        close_windows: end batching windows once a shard has nothing more to give.
        """
        steps = [consumer.step(close_windows=close_windows) for consumer in self._readable_consumers()]
        closed = self._note_drained()
        return Poll(
            acted=closed or any(step.acted for step in steps),
            is_idle=not closed and all(step.is_idle for step in steps),
            next_due_at=min((step.next_due_at for step in steps if step.next_due_at), default=None),
        )

    def run_until_idle(self, *, close_windows: bool = True, timeout_seconds: float | None = None) -> Counts:
        """Poll until every shard is at its tip and nothing is in flight.

        Waits for back-off and open windows through `Machine.wait`. Raises `NotDrainedError` after the time-out.
        """
        machine = self._wiring.machine
        started_at = machine.now()
        while not (poll := self.poll_once(close_windows=close_windows)).is_idle:
            now = machine.now()
            if timeout_seconds is not None and now - started_at > timedelta(seconds=timeout_seconds):
                raise NotDrainedError(
                    f"the stream is not drained after {timeout_seconds} seconds: give it more time, or see what its "
                    f"observer reports ({self.counts})"
                )
            if not poll.acted:
                machine.wait(_seconds_until(poll.next_due_at, now, at_most=IDLE_READ_SECONDS))
        return self.counts

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set, with a thread for each shard.

        Running invocations are finished first. A crash in a thread ends the run and is raised.
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
                    now = self._wiring.machine.now()
                    stop.wait(_seconds_until(step.next_due_at, now, at_most=IDLE_READ_SECONDS))
        except BaseException as crash:
            self._crash = crash
            stop.set()

    def _step_safely(self, consumer: ShardConsumer) -> Step:
        """Step. Only report an error, because an unreachable stream must not end the loop."""
        try:
            return consumer.step(in_parallel=True)
        except Exception as error:
            self._counter.in_trouble(consumer.shard_id, "reading the shard", error)
            return Step(acted=False, is_idle=False, next_due_at=None)

    def _readable_consumers(self) -> list[ShardConsumer]:
        now = self._wiring.machine.now()
        if self._listing_is_stale or now - self._listed_at >= DISCOVERY_INTERVAL:
            self._discover()
            self._listed_at, self._listing_is_stale = now, False
        return [self._consumers[shard.shard_id] for shard in readable(self._shards, self._drained)]

    def _discover(self) -> None:
        # Checkpoints mean that an earlier poller had the first look.
        is_first = not self._shards and not self._wiring.checkpoints
        self._shards = self._list_shards()
        # LATEST is the stream's end at the first look; a shard that came later is read from its start.
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
        """Return whether more shards are drained, so that their children are read next."""
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
