"""Counts of a provider's calls, for `poll_report`."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ProviderCalls:
    """Observer of a provider that counts its calls."""

    requests: int = 0
    waited_seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    """By the error's `kind`, a word of a fixed set, never its text."""
    said: dict[str, str] = field(default_factory=dict)
    """The last text of each kind, for the log."""

    def request(self, provider: str) -> None:  # noqa: ARG002
        self.requests += 1

    def error(self, provider: str, kind: str, said: str) -> None:  # noqa: ARG002
        self.errors[kind] += 1
        self.said[kind] = said

    def rate_limit_wait(self, provider: str, seconds: float) -> None:  # noqa: ARG002
        self.waited_seconds += seconds

    def gap_closed(self, provider: str, start_ns: int, end_ns: int) -> None:
        """Count nothing: a gap's trades are published like others."""

    def taken(self) -> "ProviderCalls":
        """Return the counts and begin anew."""
        counts = ProviderCalls(self.requests, self.waited_seconds, self.errors, self.said)
        self.requests, self.waited_seconds, self.errors, self.said = 0, 0.0, Counter(), {}
        return counts
