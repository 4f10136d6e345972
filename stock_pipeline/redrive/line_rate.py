"""Limits of redrive's speed, because yesterday's lines must not crowd out today's."""

from collections.abc import Callable

NANOSECONDS = 10**9


class LineRate:
    """Rate of at most `lines_per_second` in the long run.

    now_ns: nanoseconds since 1970 UTC.
    wait: sleeps for seconds.
    """

    def __init__(self, lines_per_second: int, now_ns: Callable[[], int], wait: Callable[[float], None]) -> None:
        if lines_per_second < 1:
            raise ValueError("the rate must be at least one line a second")
        self._lines_per_second = lines_per_second
        self._now_ns = now_ns
        self._wait = wait
        self._free_at_ns = 0

    def turn(self, lines: int, deadline_ns: int) -> bool:
        """Wait for the time of earlier lines, and take that of `lines`; False at once if it is after the deadline."""
        now_ns = self._now_ns()
        start_ns = max(now_ns, self._free_at_ns)
        if start_ns >= deadline_ns:
            return False
        # rounded up, so that rounding never earns a line
        self._free_at_ns = start_ns - (-lines * NANOSECONDS // self._lines_per_second)
        if start_ns > now_ns:
            self._wait((start_ns - now_ns) / NANOSECONDS)
        return True


class Unlimited:
    """A rate that lets every line through at once."""

    def turn(self, lines: int, deadline_ns: int) -> bool:  # noqa: ARG002
        return True
