"""Counts of what a provider tells its observer while it works; `telemetry` makes metrics of them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ProviderCalls:
    """An observer for the providers of `providers` that counts. One belongs to one run of the producer."""

    requests: int = 0
    waited_seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    """By the error's kind, a fixed word: never its text."""

    def request(self, provider: str) -> None:  # noqa: ARG002
        self.requests += 1

    def error(self, provider: str, kind: str) -> None:  # noqa: ARG002
        self.errors[kind] += 1

    def rate_limit_wait(self, provider: str, seconds: float) -> None:  # noqa: ARG002
        self.waited_seconds += seconds

    def gap_closed(self, provider: str, start_ns: int, end_ns: int) -> None:
        """Nothing to count: a gap's trades are published like all others."""

    def taken(self) -> "ProviderCalls":
        """The counts so far; counting begins anew, for a provider that outlives a run."""
        counts = ProviderCalls(self.requests, self.waited_seconds, self.errors)
        self.requests, self.waited_seconds, self.errors = 0, 0.0, Counter()
        return counts
