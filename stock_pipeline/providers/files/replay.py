"""Replay of a recorded session, as trades, at once or at its recorded speed.

Reading a file belongs to `stock_pipeline.files`. Rows that can't be trades are handed over as unreadable.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stock_pipeline.domain.capture import Capture
from stock_pipeline.providers.files.recorded_rows import RecordedRows, recorded_rows

PAGE_ROWS = 5_000

TICK_SECONDS = 0.25
"""At a chosen speed, rows due within this time go out together."""

NANOSECONDS = 10**9


@dataclass(frozen=True)
class ReplayFile:
    """Recorded session.

    feed: mark of its rows; by default that of the file's format
    now_ns: stamps their ingest time
    speed: seconds of the session in one second (1 as recorded; None as fast as they are taken)
    wait: sleeps for seconds; needed with a speed only
    """

    path: Path
    now_ns: Callable[[], int]
    feed: str = ""
    speed: float | None = None
    wait: Callable[[float], None] | None = None

    def __post_init__(self) -> None:
        if self.speed is not None and (not 0 < self.speed < math.inf or self.wait is None):
            raise ValueError("a replay takes a speed above 0 and something to wait with, or neither")

    @cached_property
    def rows(self) -> RecordedRows:
        """Read the file, once; raises `InputFileError`."""
        return recorded_rows(self.path, self.feed)

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield pages from the row number in `checkpoint` on, until the end or the deadline.

        With a speed, the first row goes out at once, and every other one when it is due after it.
        """
        rows = self.rows
        start = int(checkpoint) if checkpoint else 0
        pages = _pages(start, len(rows)) if self.speed is None else self._due_pages(rows, start, deadline_ns)
        for first, end in pages:
            if self.now_ns() >= deadline_ns:
                return
            yield rows.page(first, end, self.now_ns())

    def _due_pages(self, rows: RecordedRows, start: int, deadline_ns: int) -> Iterator[tuple[int, int]]:
        """Yield first and last row (exclusive) of each page once due; wait at most until the deadline."""
        assert self.speed is not None
        assert self.wait is not None
        due_ns = _due_after(rows.times_ns()[start:], self.speed)
        began_ns = self.now_ns()
        done = 0
        while done < len(due_ns) and (now_ns := self.now_ns()) < deadline_ns:
            due = int(np.searchsorted(due_ns, now_ns - began_ns, side="right"))
            if due > done:
                end = min(due, done + PAGE_ROWS)
                yield start + done, start + end
                done = end
            else:
                seconds = max(TICK_SECONDS, (int(due_ns[done]) - (now_ns - began_ns)) / NANOSECONDS)
                self.wait(min(seconds, (deadline_ns - now_ns) / NANOSECONDS))


def _pages(start: int, rows: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + PAGE_ROWS, rows)) for first in range(start, rows, PAGE_ROWS))


def _due_after(times_ns: npt.NDArray[np.int64], speed: float) -> npt.NDArray[np.int64]:
    """Return when rows go out, in nanoseconds after the first; late prints keep their recorded place."""
    if not len(times_ns):
        return times_ns
    recorded_ns = np.maximum.accumulate(times_ns)
    due_ns: npt.NDArray[np.int64] = np.minimum((recorded_ns - recorded_ns[0]) / speed, 2.0**62).astype(np.int64)
    return due_ns
