"""Redrive's report: metrics and log events. The redriving is `redrive`'s."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stock_pipeline.streaming.telemetry import LogEvent, Metric

REDRIVEN_MESSAGES = Metric(
    "RedrivenMessages",
    "Count",
    "Outcome",
    "Messages of the dead-letter queue: published, parked, left, expired or dropped.",
)
REDRIVEN_LINES = Metric("RedrivenLines", "Count", None, "Lines that redrive put into the stream again.")

INTERRUPTED_REDRIVES = Metric(
    "InterruptedRedrives", "Count", None, "Runs of redrive that ended before the queue was empty, or lost their counts."
)

OLDEST_DEAD_LETTER_SECONDS = Metric(
    "OldestDeadLetterSeconds", "Seconds", None, "Age of the oldest message that a redrive met and left in the queue."
)

METRICS = (REDRIVEN_MESSAGES, REDRIVEN_LINES, INTERRUPTED_REDRIVES, OLDEST_DEAD_LETTER_SECONDS)

ACTIONS = ("published", "parked", "left", "expired", "dropped")
"""What becomes of a message. Dropped is one that has nothing to redrive, such as S3's test of the notification."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of redriving one message.

    tries: number with this one; of its lines, if they came by other messages before.
    lines: number published and confirmed.
    rejected: number rejected again.
    """

    message_id: str
    tries: int
    action: str
    why: str
    lines: int
    rejected: int

    @property
    def needs_a_look(self) -> bool:
        return self.action not in ("published", "dropped")


@dataclass(frozen=True, slots=True)
class RedriveReport:
    """Result of one run, message by message.

    trouble: what the run itself met: why it ended early, or could not keep its counts. Empty if nothing.
    oldest_left_seconds: age of the oldest message that is still in the queue. SQS's own figure leaves out messages that
    were received three times (developer guide, "Available CloudWatch metrics for Amazon SQS").
    """

    outcomes: tuple[Outcome, ...]
    trouble: str = ""
    oldest_left_seconds: float = 0.0

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of messages by action."""
        return Counter(outcome.action for outcome in self.outcomes)

    def events(self, request_id: str) -> Iterator[LogEvent]:
        """Yield one event, one for each action, and one for each message that needs a look."""
        run = {"request_id": request_id}
        values: dict[Metric, float] = {
            REDRIVEN_LINES: sum(outcome.lines for outcome in self.outcomes),
            INTERRUPTED_REDRIVES: int(bool(self.trouble)),
            OLDEST_DEAD_LETTER_SECONDS: round(self.oldest_left_seconds),
        }
        yield LogEvent("INFO", "redrive finished", {**run, "messages": len(self.outcomes)}, values)
        for action, count in self.counts.items():
            yield LogEvent("INFO", "messages redriven", run, {REDRIVEN_MESSAGES: count}, action)
        for outcome in self.outcomes:
            if outcome.needs_a_look:
                fields = {"message_id": outcome.message_id, **run}
                yield LogEvent("WARNING", f"message {outcome.action}: {outcome.why}", fields)
        if self.trouble:
            yield LogEvent("ERROR", f"redrive in trouble: {self.trouble}", run)
