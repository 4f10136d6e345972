"""Budget of a key: how many calls it allows, and when.

What a call is, and what a refusal means, belongs to `api_client`.
"""

from collections.abc import Callable
from threading import Lock

from stock_pipeline.errors import RetryableError

NANOSECONDS = 10**9
MINUTE_NS = 60 * NANOSECONDS


class NoTimeLeftError(RetryableError):
    """The deadline comes before the budget allows another call; nothing was sent."""


class TokenBucket:
    """Budget of at most `capacity` calls at once, and `refill_per_minute` in the long run; one bucket a key.

    Any minute sees at most `capacity + refill_per_minute` calls: let the sum be what the provider allows. The state is
    the integer time at which the bucket is full again (generic cell rate algorithm). Safe to share between threads.
    """

    def __init__(
        self,
        capacity: int,
        refill_per_minute: int,
        now_ns: Callable[[], int],
        wait: Callable[[float], None],
    ) -> None:
        """Begin with a full bucket.

        now_ns: nanoseconds since 1970 UTC
        wait: sleeps for seconds
        """
        if capacity < 1 or refill_per_minute < 1:
            raise ValueError(
                "a bucket without capacity or refill never lets a call through: give it at least 1 of each"
            )
        # Rounded up, so that rounding never earns a call.
        self._interval_ns = -(-MINUTE_NS // refill_per_minute)
        self._burst_ns = (capacity - 1) * self._interval_ns
        self._now_ns = now_ns
        self._wait = wait
        self._lock = Lock()
        self._full_at_ns = 0
        self._paused_until_ns = 0

    def acquire(self, deadline_ns: int) -> float:
        """Wait for a token, take it, and return the seconds waited.

        Raises `NoTimeLeftError`, at once and without taking a token, if `deadline_ns` comes first.
        """
        with self._lock:
            now_ns = self._now_ns()
            start_ns = max(now_ns, self._full_at_ns - self._burst_ns, self._paused_until_ns)
            if start_ns >= deadline_ns:
                raise NoTimeLeftError(
                    f"the key's budget allows the next call {(start_ns - now_ns) / NANOSECONDS:.1f} s from now, "
                    "which is after the deadline"
                )
            self._full_at_ns = max(self._full_at_ns, start_ns) + self._interval_ns
        seconds = (start_ns - now_ns) / NANOSECONDS
        if seconds > 0:
            self._wait(seconds)
        return seconds

    def pause_until(self, time_ns: int) -> None:
        """Let no call through before `time_ns`, because the provider said so (`Retry-After`)."""
        with self._lock:
            self._paused_until_ns = max(self._paused_until_ns, time_ns)
