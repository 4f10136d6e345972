"""The end of a long-lived stream of captures: publishes them, reports counts, saves the position.

A long-lived process calls `tell` every few seconds; the producer Lambda has `poll_loop` instead.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from stock_pipeline.domain.capture import Capture
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.ports import CheckpointStore
from stock_pipeline.streaming.producer import Producer, ProducerReport
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.telemetry import Telemetry

PUBLISH_SECONDS = 30
"""After this, records that the stream refuses are kept in failed/."""

_NOTHING = ProducerReport(0, 0, 0, 0, 0)


@dataclass
class StreamSink:
    """Sink of captures, for any number of threads.

    position: no trade before it is missing (nanoseconds since 1970 UTC); None if unknown.
    """

    producer: Producer
    telemetry: Telemetry
    calls: ProviderCalls
    checkpoints: CheckpointStore
    position: Callable[[], int | None]
    now_ns: Callable[[], int]
    _total: ProducerReport = _NOTHING
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, capture: Capture) -> None:
        """Put a capture into the stream, or keep it for redrive."""
        report = self.producer.run([capture], self.now_ns() + PUBLISH_SECONDS * 10**9)
        with self._lock:
            self._total = self._total.plus(report)

    def start_ns(self) -> int | None:
        """Return the last process's position: the gap begins there."""
        checkpoint = self.checkpoints.load()
        return int(checkpoint) if checkpoint else None

    def tell(self) -> None:
        """Write the counts since the last call, and save the position."""
        with self._lock:
            total, self._total = self._total, _NOTHING
        self.telemetry.record(PollReport(0, total, None).events(self.calls.taken(), request_id=""))
        position = self.position()
        if position is not None:
            self.checkpoints.save(str(position))
