"""Trying again within the time of an invocation.

Once its time is over nothing is begun any more, so the answer still names the first unfinished record.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from stock_pipeline.errors import RetryableError

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 8


class OutOfTimeError(RetryableError):
    """The invocation's time is over."""

    def __init__(self) -> None:
        super().__init__("the invocation has no time left; its last records are delivered again")


@dataclass(frozen=True)
class Patience:
    """Rule of when to try again.

    wait: pauses before the given attempt (1, 2, …).
    has_time: tells if a call may still begin.
    """

    wait: Callable[[int], None]
    has_time: Callable[[], bool]

    def begin(self, earlier_attempts: int) -> None:
        """Wait before an attempt. Raises `OutOfTimeError` if it may not begin."""
        self._check_time()
        if earlier_attempts:
            self.wait(earlier_attempts)
            self._check_time()

    def call(self, do: Callable[[], Result]) -> Result:
        """Return what the call returns. Raises the last `RetryableError` of too many attempts."""
        for earlier_attempts in range(ATTEMPTS - 1):
            self.begin(earlier_attempts)
            try:
                return do()
            except OutOfTimeError:
                raise
            except RetryableError:
                pass
        self.begin(ATTEMPTS - 1)
        return do()

    def _check_time(self) -> None:
        if not self.has_time():
            raise OutOfTimeError


def in_threads(threads: int, items: Iterable[Item], do: Callable[[Item], None]) -> None:
    """Do all items, several at once; a single thread is the caller's.

    The threads share one iterator, because handing over each item as a task costs more than doing it.
    """
    waiting = iter(items)

    def work(_thread: int) -> None:
        for item in waiting:
            do(item)

    if threads == 1:
        work(0)
        return
    with ThreadPoolExecutor(max_workers=threads) as pool:
        list(pool.map(work, range(threads)))
