"""What a redrive reports, message by message: its metrics and log lines."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stock_pipeline.streaming.telemetry import LogEvent, Metric

REDRIVEN_MESSAGES = Metric(
    "RedrivenMessages", "Count", "Outcome", "Messages of the dead-letter queue: published, parked, left or expired."
)
REDRIVEN_LINES = Metric("RedrivenLines", "Count", None, "Lines that redrive put into the stream again.")

METRICS = (REDRIVEN_MESSAGES, REDRIVEN_LINES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message. `tries` counts this one, `lines` were published and confirmed."""

    message_id: str
    tries: int
    action: str
    why: str
    lines: int
    rejected: int


@dataclass(frozen=True, slots=True)
class RedriveReport:
    """What one run came to, message by message."""

    outcomes: tuple[Outcome, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        return Counter(outcome.action for outcome in self.outcomes)

    def events(self, request_id: str) -> Iterator[LogEvent]:
        """One line, one more for each outcome, and one for each message that was not published, with the reason."""
        run = {"request_id": request_id}
        lines = sum(outcome.lines for outcome in self.outcomes)
        yield LogEvent("INFO", "redrive finished", {**run, "messages": len(self.outcomes)}, {REDRIVEN_LINES: lines})
        for action, count in self.counts.items():
            yield LogEvent("INFO", "messages redriven", run, {REDRIVEN_MESSAGES: count}, action)
        for outcome in self.outcomes:
            if outcome.action != "published":
                fields = {"message_id": outcome.message_id, **run}
                yield LogEvent("WARNING", f"message {outcome.action}: {outcome.why}", fields)
