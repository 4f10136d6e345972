"""Pauses between tries. Who waits, and with which numbers, is said by each caller.

Rule: AWS Architecture Blog, "Exponential Backoff and Jitter".
"""

from collections.abc import Callable
from dataclasses import dataclass

_DOUBLINGS = 32
"""Enough to reach any longest pause; more would overflow a float."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses whose ceiling doubles from `first_seconds` to `longest_seconds`; chance shortens each.

    certain_share: part of the ceiling that is always waited: 0 is full jitter, 0.5 equal jitter.
    """

    first_seconds: float
    longest_seconds: float
    certain_share: float = 0.0

    def seconds(self, failures: int, jitter: Callable[[], float]) -> float:
        """Return the pause after the `failures`-th failure in a row (from 1). jitter: draws from 0 to 1."""
        ceiling = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, _DOUBLINGS))
        return ceiling * (self.certain_share + (1 - self.certain_share) * jitter())
