"""Where a long-lived stream of captures ends: in the producer, with its counts told and its position kept now and then.

The producer Lambda has `poll_loop` for this; here nobody invokes, so somebody calls `tell` every few seconds.
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
"""How long the stream may refuse a capture's records before they are kept in failed/."""

_NOTHING = ProducerReport(0, 0, 0, 0, 0)


@dataclass
class StreamSink:
    """Publishes captures from any number of threads.

    position: the instant (nanoseconds since 1970 UTC) up to which nothing is missing, or None if that is not known yet.
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
        """Returns once the capture is in the stream, or kept for redrive."""
        report = self.producer.run([capture], self.now_ns() + PUBLISH_SECONDS * 10**9)
        with self._lock:
            self._total = self._total.plus(report)

    def start_ns(self) -> int | None:
        """Where the last process stood, for the gap between it and this one."""
        checkpoint = self.checkpoints.load()
        return int(checkpoint) if checkpoint else None

    def tell(self) -> None:
        """Write the counts since the last call, and keep the position."""
        with self._lock:
            total, self._total = self._total, _NOTHING
        self.telemetry.record(PollReport(0, total, None).events(self.calls.taken(), request_id=""))
        position = self.position()
        if position is not None:
            self.checkpoints.save(str(position))
