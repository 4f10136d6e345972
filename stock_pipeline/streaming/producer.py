"""The producer: what a provider captures goes into the stream, what it could not read into the dead-letter queue.

When `run` returns, every trade of the page is in the stream or kept for redrive. Only then may its checkpoint be saved:
a crash in between reads the page again, and the event ids make that harmless.
"""

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.streaming.ports import DeadLetterQueue
from stock_pipeline.streaming.publisher import Publisher


@dataclass(frozen=True, slots=True)
class ProducerReport:
    """What one run came to. `trades == published + kept`."""

    trades: int
    published: int
    kept: int
    records: int
    unreadable: int

    def plus(self, other: "ProducerReport") -> "ProducerReport":
        return ProducerReport(
            self.trades + other.trades,
            self.published + other.published,
            self.kept + other.kept,
            self.records + other.records,
            self.unreadable + other.unreadable,
        )


@dataclass(frozen=True)
class Producer:
    publisher: Publisher
    dead_letters: DeadLetterQueue
    progress: Callable[[int], None] = lambda _trades: None

    def run(self, captures: Iterable[Capture], deadline_ns: int) -> ProducerReport:
        """Take every page of the provider; the provider ends by itself or at the deadline."""
        total = ProducerReport(0, 0, 0, 0, 0)
        for capture in captures:
            if capture.unreadable:
                self.dead_letters.send([unreadable_message(payload) for payload in capture.unreadable])
            report = self.publisher.publish(capture.trades, deadline_ns)
            total = total.plus(
                ProducerReport(report.lines, report.published, report.kept, report.records, len(capture.unreadable))
            )
            self.progress(report.lines)
        return total


def unreadable_message(payload: UnreadablePayload) -> bytes:
    """A piece of a provider's answer that is no trade, as a document of the dead-letter queue."""
    return json.dumps(
        {
            "kind": "unreadable_payload",
            "reason": str(payload.reason),
            "detail": payload.detail[:500],
            "payload": payload.payload[:200].decode("utf-8", "replace"),
            "payload_base64": base64.b64encode(payload.payload).decode(),
        }
    ).encode()
