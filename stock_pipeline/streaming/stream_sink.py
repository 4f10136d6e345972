"""The end of a long-lived stream of captures: publishes them, reports counts, saves the position.

A long-lived process calls `tell` every few seconds; the producer Lambda has `poll_loop` instead.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.feed_session import open_hours
from stock_pipeline.streaming.checkpoint_time import check_not_ahead
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.ports import CheckpointStore
from stock_pipeline.streaming.producer import Producer, ProducerReport
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.telemetry import LogEvent, Metric, Telemetry

PUBLISH_SECONDS = 15
"""After this, records that the stream refuses are kept in failed/. A container has 30 seconds to end."""

STREAM_LAG_SECONDS = Metric(
    "StreamLagSeconds", "Seconds", None, "Age of the instant up to which the websocket producer misses nothing."
)
WAITING_FRAMES = Metric("WaitingFrames", "Count", None, "Messages of the websocket that wait to be published.")

METRICS = (STREAM_LAG_SECONDS, WAITING_FRAMES)

_NOTHING = ProducerReport(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """How far a stream is.

    complete_to_ns: no trade before it is missing (nanoseconds since 1970 UTC).
    checkpoint: where the next process goes on, readable by the provider only.
    """

    state: str
    complete_to_ns: int
    checkpoint: str
    waiting_frames: int

    def events(self, now_ns: int) -> Iterator[LogEvent]:
        values: dict[Metric, float] = {
            STREAM_LAG_SECONDS: round((now_ns - self.complete_to_ns) / 10**9, 3),
            WAITING_FRAMES: self.waiting_frames,
        }
        yield LogEvent("INFO", f"the stream is {self.state}", {}, values)


@dataclass
class StreamSink:
    """Sink of captures, for any number of threads.

    feed_delay_seconds: how far the feed is behind the clock.
    feed: says when its market is open.
    """

    producer: Producer
    telemetry: Telemetry
    calls: ProviderCalls
    checkpoints: CheckpointStore
    progress: Callable[[], StreamProgress]
    now_ns: Callable[[], int]
    feed_delay_seconds: int = 0
    feed: str = ""
    _total: ProducerReport = _NOTHING
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def position(self) -> str | None:
        """Return the stored position. Raises `FutureCheckpointError` for one that lies ahead of the clock."""
        checkpoint = self.checkpoints.load()
        check_not_ahead(checkpoint, self.now_ns())
        return checkpoint

    def publish(self, capture: Capture) -> None:
        """Put a capture into the stream, or keep it for redrive."""
        report = self.producer.run([capture], self.now_ns() + PUBLISH_SECONDS * 10**9)
        with self._lock:
            self._total = self._total.plus(report)

    def tell(self) -> None:
        """Write the counts since the last call, and save the position."""
        # Taken first, because what is published meanwhile belongs to the next call.
        progress = self.progress()
        with self._lock:
            total, self._total = self._total, _NOTHING
        is_open = open_hours(self.now_ns() - self.feed_delay_seconds * 10**9, self.feed) is not None
        self.telemetry.record(PollReport(0, total, None).events(self.calls.taken(), "", is_open))
        self.telemetry.record(progress.events(self.now_ns()))
        self.checkpoints.save(progress.checkpoint)
