"""When redrive is due: at once for what is new, ever more rarely while nothing changes."""

from stock_pipeline.domain.redrive_pace import (
    LONGEST_PAUSE_SECONDS,
    QUIET_SECONDS,
    SHORTEST_PAUSE_SECONDS,
    Pace,
    QueueDepth,
    after_asking,
    after_emptying,
    due_at,
    nothing_came_back,
)

NOON = 1_700_000_000
ONE = QueueDepth(1, 0)


def asked_times(depth: QueueDepth, minutes: int, pace: Pace | None = None) -> list[int]:
    """Return the minutes at which a tick every minute asks for a run."""
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


def test_a_queue_that_a_run_just_emptied_may_fill_again_and_ends_no_pause() -> None:
    pace = Pace(attempt=9, depth=1, asked_at=NOON, unchanged=8)
    assert not nothing_came_back(pace, NOON + QUIET_SECONDS - 1)
    assert nothing_came_back(pace, NOON + QUIET_SECONDS)
    assert QUIET_SECONDS > LONGEST_PAUSE_SECONDS


def test_a_message_that_is_always_back_is_asked_for_ever_more_rarely() -> None:
    """Each run empties the queue; what it published is back three minutes later."""
    pace, asked, back_at = Pace(), list[int](), 0
    for minute in range(24 * 60):
        now = NOON + 60 * minute
        if minute < back_at:
            pace = after_emptying(pace) if nothing_came_back(pace, now) else pace
        elif now >= due_at(pace, ONE):
            pace, back_at = after_asking(pace, ONE, now), minute + 3
            asked.append(minute)
    assert asked[:6] == [0, 5, 15, 35, 75, 135]
    assert len(asked) < 30
