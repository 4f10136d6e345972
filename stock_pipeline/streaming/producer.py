"""The producer: a provider's trades go into the stream, its unreadable payloads into the dead-letter queue.

When `run` returns, every trade is in the stream or kept for redrive: only then may the checkpoint be saved. A crash in
between reads the page again, which the event ids make harmless.
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
    """Result of one run. `trades == published + kept`."""

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
        """Publish every capture. deadline_ns: the publisher's clock."""
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
    """Return the dead-letter document of an unreadable piece of a provider's answer."""
    return json.dumps(
        {
            "kind": "unreadable_payload",
            "reason": str(payload.reason),
            "detail": payload.detail[:500],
            "payload": payload.payload[:200].decode("utf-8", "replace"),
            "payload_base64": base64.b64encode(payload.payload).decode(),
        }
    ).encode()
