"""One invocation of the producer: polls at start + k * interval until the deadline.

It polls several times, because the scheduler's shortest interval is a minute. A slow poll skips the slots it missed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stock_pipeline.domain.capture import Capture
from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.streaming.checkpoint_time import check_not_ahead
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.ports import CheckpointStore, Provider
from stock_pipeline.streaming.producer import Producer, ProducerReport


@dataclass(frozen=True)
class PollLoop:
    """Loop that polls a provider and publishes its captures.

    now_ns: nanoseconds since 1970 UTC.
    sleep: takes seconds.
    """

    provider: Provider
    producer: Producer
    checkpoints: CheckpointStore
    interval_seconds: float
    now_ns: Callable[[], int]
    sleep: Callable[[float], None]

    def run(self, deadline_ns: int) -> PollReport:
        """Poll until the deadline.

        A permanent error ends the run, because the next poll would meet it again. After a retryable one the next slot
        goes on from the last checkpoint.
        """
        start_ns, interval_ns = self.now_ns(), round(self.interval_seconds * 1e9)
        total = ProducerReport(0, 0, 0, 0, 0)
        failure: PermanentError | RetryableError | None = None
        polls = 0
        for slot_ns in _slots(start_ns, interval_ns, deadline_ns, self.now_ns):
            self._sleep_until(slot_ns)
            polls += 1
            try:
                checkpoint = self.checkpoints.load()
                check_not_ahead(checkpoint, self.now_ns())
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
    """Yield the next instant of the grid that is still ahead, until the deadline."""
    slot_ns = start_ns
    while slot_ns < deadline_ns:
        yield slot_ns
        # at least the next slot; one that has begun already counts as missed
        passed = -(-(now_ns() - slot_ns) // interval_ns)
        slot_ns += interval_ns * max(1, passed)
