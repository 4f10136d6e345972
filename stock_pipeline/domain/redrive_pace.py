"""When the next redrive is due, from the queue's depth and what was asked for before. Pure: the clock comes in.

A message that can never succeed must not start one run after the other, and must not keep new ones waiting: while
nothing changes the pause doubles, and any change of the depth ends that.
"""

from dataclasses import dataclass, replace

SHORTEST_PAUSE_SECONDS = 300
"""Longer than a run lasts, so that one sees what the one before it left."""

LONGEST_PAUSE_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages as SQS counts them: those that can be received, and those that somebody has in hand or that rest."""

    waiting: int
    hidden: int

    @property
    def total(self) -> int:
        return self.waiting + self.hidden


@dataclass(frozen=True, slots=True)
class Pace:
    """attempt: how many runs were asked for. depth, asked_at: at the last of them (seconds since 1970 UTC).
    unchanged: how many runs in a row found the queue as deep as the one before."""

    attempt: int = 0
    depth: int = 0
    asked_at: int = 0
    unchanged: int = 0


def due_at(pace: Pace, depth: QueueDepth) -> int:
    """The earliest second for the next run of a queue that is this deep."""
    doublings = min(pace.unchanged, 10) if depth.total == pace.depth else 0
    return pace.asked_at + min(SHORTEST_PAUSE_SECONDS << doublings, LONGEST_PAUSE_SECONDS)


def after_asking(pace: Pace, depth: QueueDepth, now: int) -> Pace:
    unchanged = pace.unchanged + 1 if depth.total == pace.depth else 0
    return Pace(pace.attempt + 1, depth.total, now, unchanged)


def after_emptying(pace: Pace) -> Pace:
    """What comes next is new, and has to wait no longer than the shortest pause."""
    return replace(pace, depth=0, unchanged=0)
