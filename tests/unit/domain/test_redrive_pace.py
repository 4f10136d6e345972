"""When a redrive is due: at once for what is new, ever more rarely for what never changes."""

from stock_pipeline.domain.redrive_pace import (
    LONGEST_PAUSE_SECONDS,
    SHORTEST_PAUSE_SECONDS,
    Pace,
    QueueDepth,
    after_asking,
    after_emptying,
    due_at,
)

NOON = 1_700_000_000
ONE = QueueDepth(1, 0)


def asked_times(depth: QueueDepth, minutes: int, pace: Pace | None = None) -> list[int]:
    """The minutes at which a tick every minute asks for a run."""
    pace, asked = pace or Pace(), []
    for minute in range(minutes):
        now = NOON + 60 * minute
        if now >= due_at(pace, depth):
            pace = after_asking(pace, depth, now)
            asked.append(minute)
    return asked


def test_the_first_message_is_asked_for_at_once() -> None:
    assert asked_times(ONE, 1) == [0]


def test_an_unchanging_queue_is_asked_for_ever_more_rarely() -> None:
    day = asked_times(ONE, 24 * 60)
    assert day[:6] == [0, 5, 15, 35, 75, 135]
    assert len(day) < 30
    assert LONGEST_PAUSE_SECONDS == 3_600


def test_one_more_message_ends_the_long_pause() -> None:
    pace = Pace(attempt=9, depth=1, asked_at=NOON, unchanged=8)
    assert due_at(pace, ONE) == NOON + LONGEST_PAUSE_SECONDS
    assert due_at(pace, QueueDepth(1, 1)) == NOON + SHORTEST_PAUSE_SECONDS
    assert after_asking(pace, QueueDepth(2, 0), NOON + 400) == Pace(10, 2, NOON + 400, 0)


def test_an_empty_queue_ends_the_long_pause_too() -> None:
    pace = after_emptying(Pace(attempt=9, depth=1, asked_at=NOON, unchanged=8))
    assert due_at(pace, ONE) == NOON + SHORTEST_PAUSE_SECONDS
