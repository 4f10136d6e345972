"""Prices in two units in one file: dollars in some rows and, say, hundredths of a cent in others.

Splits, wild days and wrong prints don't look like that: the rule asks for a factor of a hundred or more that is a power
of ten to a tenth, and for one row in a hundred. A reverse split changes a price from one session to the next, by ratios
up to a thousand; so between sessions only factors of ten thousand and more are told.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

STEPS_A_DECADE = 40
_TOLERANCE = 2
"""In steps: a tenth."""

_WITHIN_SESSION, _BETWEEN_SESSIONS = 2, 4
"""Decades that are a change of unit."""

_ROWS_IN_A_HUNDRED = 1


class PriceLevel(NamedTuple):
    """Prices of a symbol on one day that lie close to each other. step: `level_of` each."""

    symbol: str
    day: int
    step: int


class MixedScale(NamedTuple):
    """The guess: rows of the symbol that differ by this factor."""

    symbol: str
    factor: int


def level_of(price: float) -> int:
    return round(math.log10(price) * STEPS_A_DECADE)


def mixed_scale(rows: Mapping[PriceLevel, int]) -> MixedScale | None:
    """Return what shows that a file's prices have several units, or None. rows: how many there are of each level."""
    days: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    for level, count in rows.items():
        days[level.symbol, level.day][level.step] = count
    middles = {place: _middle(steps) for place, steps in days.items()}
    odd, found = 0, None
    before: tuple[str, int] | None = None
    for place in sorted(days):
        middle = middles[place]
        for step, count in days[place].items():
            decades = _decades(step - middle, _WITHIN_SESSION)
            if decades:
                odd += count
                found = found or MixedScale(place[0], 10**decades)
        if before and before[0] == place[0]:
            decades = _decades(middle - middles[before], _BETWEEN_SESSIONS)
            if decades:
                odd += sum(days[place].values())
                found = found or MixedScale(place[0], 10**decades)
        before = place
    return found if odd * 100 >= _ROWS_IN_A_HUNDRED * sum(rows.values()) else None


def _middle(steps: Mapping[int, int]) -> int:
    """Return the median."""
    half, seen = sum(steps.values()) / 2, 0
    for step in sorted(steps):
        seen += steps[step]
        if seen >= half:
            return step
    raise ValueError("a day has rows")


def _decades(difference: int, least: int) -> int:
    """Return the power of ten that two levels differ by, if there is one of so many decades; else 0."""
    decades = round(abs(difference) / STEPS_A_DECADE)
    is_power = abs(abs(difference) - decades * STEPS_A_DECADE) <= _TOLERANCE
    return decades if is_power and decades >= least else 0
