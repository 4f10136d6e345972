"""One invocation of the producer: poll on an absolute grid of time until the deadline.

The scheduler's floor is a minute, so an invocation polls several times. Slots are fixed (start + k * interval); a poll
that takes longer than its slot skips the missed ones instead of running after them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stock_pipeline.domain.capture import Capture
from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.ports import CheckpointStore, Provider
from stock_pipeline.streaming.producer import Producer, ProducerReport


@dataclass(frozen=True)
class PollLoop:
    """Polls a provider and produces what it captures.

    now_ns: nanoseconds since 1970 UTC. sleep: takes seconds.
    """

    provider: Provider
    producer: Producer
    checkpoints: CheckpointStore
    interval_seconds: float
    now_ns: Callable[[], int]
    sleep: Callable[[float], None]

    def run(self, deadline_ns: int) -> PollReport:
        """Poll until the deadline. A permanent error ends the run: the next call would only meet it again. After a
        retryable one, whose retries the provider has had, the next slot goes on from the last checkpoint."""
        start_ns, interval_ns = self.now_ns(), round(self.interval_seconds * 1e9)
        total = ProducerReport(0, 0, 0, 0, 0)
        failure: PermanentError | RetryableError | None = None
        polls = 0
        for slot_ns in _slots(start_ns, interval_ns, deadline_ns, self.now_ns):
            self._sleep_until(slot_ns)
            polls += 1
            checkpoint = self.checkpoints.load()
            try:
                for capture in self.provider.poll(checkpoint, deadline_ns):
                    total = total.plus(self._produce(capture, deadline_ns))
                failure = None
            except PermanentError as error:
                return PollReport(polls, total, error)
            except RetryableError as error:
                failure = error
        return PollReport(polls, total, failure)

    def _produce(self, capture: Capture, deadline_ns: int) -> ProducerReport:
        report = self.producer.run([capture], deadline_ns)
        if capture.checkpoint is not None:
            self.checkpoints.save(capture.checkpoint)
        return report

    def _sleep_until(self, slot_ns: int) -> None:
        ahead_ns = slot_ns - self.now_ns()
        if ahead_ns > 0:
            self.sleep(ahead_ns / 1e9)


def _slots(start_ns: int, interval_ns: int, deadline_ns: int, now_ns: Callable[[], int]) -> Iterator[int]:
    """The grid's instants that lie ahead when they are asked for, the first one at once, up to the deadline."""
    slot_ns = start_ns
    while slot_ns < deadline_ns:
        yield slot_ns
        # at least one further; a slot that has begun already counts as missed
        passed = -(-(now_ns() - slot_ns) // interval_ns)
        slot_ns += interval_ns * max(1, passed)
