"""Where a session's minutes cross a rule: once, and again only after they came back."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.bar import MINUTE_NS
from stock_pipeline.domain.price_alert import (
    UNIT,
    Condition,
    Crossing,
    Level,
    Minute,
    Move,
    Rule,
    Seen,
    Silence,
    Volume,
)
from stock_pipeline.domain.session import session_hours
from tests.support.trades import SESSION

_hours = session_hours(SESSION)
assert _hours is not None
HOURS = _hours
EVENING_NS = HOURS.close_ns + 3600 * 10**9
ABOVE = Level(200 * UNIT, 199 * UNIT, above=True)
BELOW = Level(200 * UNIT, 201 * UNIT, above=False)


def minute(number: int, *prices: float, volume: int = 100, part: str = "regular") -> Minute:
    """The bar of a minute after the open; prices in the order of time."""
    units = [int(Decimal(str(price)) * UNIT) for price in prices]
    start_ns = HOURS.open_ns + number * MINUTE_NS
    return Minute(start_ns, part, max(units), min(units), units[-1], volume * UNIT)


def found(condition: Condition, *minutes: Minute, now_ns: int = EVENING_NS, close: int | None = None) -> list[Crossing]:
    return Rule("a", ("ABC",), condition).crossings(Seen(minutes, HOURS, now_ns, close))


def at(crossings: list[Crossing]) -> list[int]:
    return [(crossing.at_ns - HOURS.open_ns) // MINUTE_NS for crossing in crossings]


@pytest.mark.parametrize(
    ("condition", "closes", "expected"),
    [
        (ABOVE, [198, 200, 199.5, 200, 199.01, 201], [1]),
        (ABOVE, [198, 200, 199, 200], [1, 3]),
        (ABOVE, [200], [0]),
        (ABOVE, [199.99], []),
        (BELOW, [202, 200, 200.5, 199, 201, 200], [1, 5]),
    ],
)
def test_a_level_tells_again_only_after_a_close_that_is_far_enough_back(
    condition: Level, closes: list[float], expected: list[int]
) -> None:
    assert at(found(condition, *(minute(number, close) for number, close in enumerate(closes)))) == expected


def test_a_minute_that_comes_back_itself_has_crossed_once() -> None:
    crossings = found(ABOVE, minute(0, 198, 200.5, 198), minute(1, 200))
    assert at(crossings) == [0, 1]
    assert crossings[0].end_ns == crossings[0].at_ns
    assert crossings[0].what == "200.50, at or above 200.00"


def test_what_closed_beyond_the_level_was_told_on_its_own_day() -> None:
    bars = [minute(0, 205), minute(1, 198), minute(2, 200)]
    assert at(found(ABOVE, *bars, close=203 * UNIT)) == [2]
    assert at(found(ABOVE, *bars, close=199 * UNIT)) == [0, 2]


def test_only_regular_minutes_count_unless_all_are_asked_for() -> None:
    bars = [minute(-30, 300, part="pre"), minute(0, 100), minute(390, 300, part="post")]
    assert found(ABOVE, *bars) == []
    everything = Rule("a", ("ABC",), ABOVE, all_hours=True).crossings(Seen(bars, HOURS, EVENING_NS))
    assert at(everything) == [-30, 390]


def test_a_move_is_against_the_newest_close_that_is_old_enough() -> None:
    bars = [minute(0, 100), minute(4, 101), minute(5, 104.9), minute(9, 106.05), minute(10, 110)]
    rises = Move(5 * UNIT, 2 * UNIT, 5, rises=True, falls=False)
    assert at(found(rises, *bars)) == [9], "against 101 of minute 4"
    assert found(rises, *bars)[0].what == "106.05, rose 5.00 % in 5 minutes"
    falls = Move(5 * UNIT, 2 * UNIT, 5, rises=False, falls=True)
    assert found(falls, *bars) == []
    assert at(found(falls, minute(0, 100), minute(7, 95))) == [7]
    both = Move(5 * UNIT, 2 * UNIT, 5, rises=True, falls=True)
    assert at(found(both, minute(0, 100), minute(5, 105), minute(10, 106), minute(15, 100))) == [5, 15]


def test_a_volume_is_against_the_mean_of_whole_minutes_before() -> None:
    busy = Volume(3 * UNIT, UNIT, 4)
    quiet = [minute(number, 10, volume=100) for number in (0, 1, 3)]  # 75 a minute, the third has none
    assert at(found(busy, *quiet, minute(4, 10, volume=224))) == []
    crossings = found(busy, *quiet, minute(4, 10, volume=225), minute(5, 10, volume=9999), minute(7, 10, volume=99_999))
    assert at(crossings) == [4, 7], "the minute without a trade armed it again"
    assert crossings[0].what == "225 shares in a minute, 3.0 times the mean of 4"
    assert found(busy, minute(0, 10, volume=1), minute(1, 10, volume=10**6)) == [], "four minutes are not over yet"


def test_a_silence_begins_with_the_open_or_a_trade_and_ends_with_the_next() -> None:
    silence = Silence(5)
    bars = [minute(5, 10), minute(6, 10), minute(12, 10)]
    assert at(found(silence, *bars, now_ns=HOURS.open_ns + 17 * MINUTE_NS)) == [5, 12]
    assert at(found(silence, *bars, now_ns=HOURS.open_ns + 18 * MINUTE_NS)) == [5, 12, 18]
    assert at(found(silence, now_ns=HOURS.open_ns + 5 * MINUTE_NS)) == [5]
    assert at(found(silence, now_ns=HOURS.open_ns + 5 * MINUTE_NS - 1)) == []


def test_after_the_close_nobody_is_silent() -> None:
    last = minute(386, 10)
    assert found(Silence(5), *(minute(number, 10) for number in range(387)), last) == []


BARS = st.lists(
    st.builds(
        lambda number, prices, volume: minute(number, *prices, volume=volume),
        st.integers(0, 30),
        st.lists(st.integers(195, 205), min_size=1, max_size=3),
        st.sampled_from((0, 100, 1000)),
    ),
    max_size=25,
    unique_by=lambda bar: bar.start_ns,
).map(sorted)
CONDITIONS: list[Condition] = [
    ABOVE,
    BELOW,
    Move(2 * UNIT, UNIT, 3, rises=True, falls=True),
    Volume(2 * UNIT, UNIT, 3),
    Silence(3),
]


@given(st.sampled_from(CONDITIONS), BARS)
def test_stretches_follow_each_other_and_each_is_crossed_once(condition: Condition, bars: list[Minute]) -> None:
    crossings = found(condition, *bars)
    for crossing, following in pairwise(crossings):
        assert crossing.end_ns is not None
        assert crossing.end_ns <= following.since_ns <= following.at_ns
        assert crossing.at_ns < following.at_ns
        assert not crossing.covers(following.at_ns) or crossing.end_ns == following.at_ns
    assert all(crossing.covers(crossing.at_ns) for crossing in crossings)


@given(BARS)
def test_between_two_crossings_of_a_level_lies_a_close_that_arms_it(bars: list[Minute]) -> None:
    crossings = found(ABOVE, *bars)
    for crossing, following in pairwise(crossings):
        between = [bar for bar in bars if crossing.at_ns <= bar.start_ns < following.at_ns]
        assert any((bar.close or 0) <= ABOVE.armed_at for bar in between)
    # and no minute that crosses an armed level is left out
    covered = [bar for bar in bars if any(crossing.covers(bar.start_ns) for crossing in crossings)]
    assert all(bar in covered for bar in bars if (bar.high or 0) >= ABOVE.price)
