"""Decides when the next redrive is due, from the queue's depth and earlier requests. The clock comes in.

While nothing changes the pause doubles, because a message that can never succeed must not start run after run. Another
depth ends that, and a queue that stays empty. One that a run just emptied does not: its messages may come back.
"""

from dataclasses import dataclass, replace

SHORTEST_PAUSE_SECONDS = 300
"""Longer than a run lasts, so that each run sees the result of the one before."""

LONGEST_PAUSE_SECONDS = 3_600

QUIET_SECONDS = 2 * 3_600
"""Longer than the processor takes to give up what a run published: an hour, and some tries."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages as SQS counts them.

    waiting: can be received.
    hidden: received already, or delayed.
    """

    waiting: int
    hidden: int

    @property
    def total(self) -> int:
        return self.waiting + self.hidden


@dataclass(frozen=True, slots=True)
class Pace:
    """The requests so far.

    attempt: number of runs asked for.
    depth, asked_at: at the last of them (seconds since 1970 UTC).
    unchanged: runs in a row that found the depth of the one before.
    """

    attempt: int = 0
    depth: int = 0
    asked_at: int = 0
    unchanged: int = 0


def due_at(pace: Pace, depth: QueueDepth) -> int:
    """Return the earliest second for the next run at this depth."""
    doublings = min(pace.unchanged, 10) if depth.total == pace.depth else 0
    return pace.asked_at + min(SHORTEST_PAUSE_SECONDS << doublings, LONGEST_PAUSE_SECONDS)


def after_asking(pace: Pace, depth: QueueDepth, now: int) -> Pace:
    unchanged = pace.unchanged + 1 if depth.total == pace.depth else 0
    return Pace(pace.attempt + 1, depth.total, now, unchanged)


def nothing_came_back(pace: Pace, now: int) -> bool:
    """Return whether a queue that is empty now will stay so: what the last run published has not come back."""
    return now - pace.asked_at >= QUIET_SECONDS


def after_emptying(pace: Pace) -> Pace:
    """Forget the depth, so that new messages wait for the shortest pause only."""
    return replace(pace, depth=0, unchanged=0)
