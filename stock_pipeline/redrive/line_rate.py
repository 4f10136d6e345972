"""How fast redrive may fill the stream, so that yesterday's lines do not crowd out today's."""

from collections.abc import Callable

NANOSECONDS = 10**9


class LineRate:
    """At most `lines_per_second` in the long run. now_ns: the clock. wait: sleeps for seconds."""

    def __init__(self, lines_per_second: int, now_ns: Callable[[], int], wait: Callable[[float], None]) -> None:
        if lines_per_second < 1:
            raise ValueError("a rate of no lines a second never lets one through")
        self._lines_per_second = lines_per_second
        self._now_ns = now_ns
        self._wait = wait
        self._free_at_ns = 0

    def turn(self, lines: int, deadline_ns: int) -> bool:
        """Wait until those before have had their time, and take the time of `lines`; False, at once, if that would be
        after the deadline."""
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
