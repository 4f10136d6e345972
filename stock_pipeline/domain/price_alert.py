"""Price alerts: where the bars of a session cross what a rule says. Bars in, crossings out.

A rule crosses once, and again only after a minute has closed at or beyond the price (or share, or pace) at which it is
armed again. So a price that trembles at its level tells once. A minute crosses once at most, because a bar does not say
in which order its prices came.

What is found depends on the bars alone, not on how or when they came. A late trade can move a crossing, and a
correction take one away: which crossings were told already is `told_alerts`' business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from stock_pipeline.domain.bar import MINUTE_NS
from stock_pipeline.domain.feed_session import REGULAR
from stock_pipeline.domain.session import SessionHours
from stock_pipeline.domain.trade import PRICE_SCALE, exact_shares, shares_text

UNIT = 10**6
"""Prices are in millionths of a dollar, shares in millionths of one, percents and multiples in millionths too."""

_WHOLE = 100 * UNIT
"""A hundred percent."""


class Minute(NamedTuple):
    """What a rule sees of a minute's bar. Prices are None where no print makes one."""

    start_ns: int
    part: str
    high: int | None
    low: int | None
    close: int | None
    volume: int


class Crossing(NamedTuple):
    """A stretch of the session that begins with a crossing.

    since_ns: where it begins; at_ns: the minute in which it crossed; end_ns: the one after which the rule was armed
    again, None while it is not. what: in words, without the symbol.
    """

    since_ns: int
    at_ns: int
    end_ns: int | None
    what: str

    def covers(self, at_ns: int) -> bool:
        return self.since_ns <= at_ns and (self.end_ns is None or at_ns <= self.end_ns)


@dataclass(frozen=True, slots=True)
class Seen:
    """A session of one symbol and feed, as a rule sees it.

    minutes: in the order of time. hours: the regular ones. now_ns: the clock.
    """

    minutes: Sequence[Minute]
    hours: SessionHours
    now_ns: int
    previous_close: int | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A price that is reached from below (`above`) or from above. armed_at: the close that arms it again."""

    price: int
    armed_at: int
    above: bool

    def __str__(self) -> str:
        side = "above" if self.above else "below"
        return f"{side} {price_text(self.price)}, again after {price_text(self.armed_at)}"

    def crossings(self, seen: Seen) -> list[Crossing]:
        side = "at or above" if self.above else "at or below"

        def crosses(minute: Minute) -> str | None:
            reached = minute.high if self.above else minute.low
            if reached is None or not self._is_beyond(reached):
                return None
            return f"{price_text(reached)}, {side} {price_text(self.price)}"

        def calms(minute: Minute) -> bool:
            close = minute.close
            return close is not None and (close <= self.armed_at if self.above else close >= self.armed_at)

        # what closed beyond the level has told so in its own session
        before = seen.previous_close
        return _stretches(seen.minutes, crosses, calms, armed=before is None or not self._is_beyond(before))

    def _is_beyond(self, price: int) -> bool:
        return price >= self.price if self.above else price <= self.price


@dataclass(frozen=True, slots=True)
class Move:
    """A change against the newest close that is `minutes` old or older. armed_at: the change that arms it again."""

    percent: int
    armed_at: int
    minutes: int
    rises: bool
    falls: bool

    def __str__(self) -> str:
        verb = "moves" if self.rises and self.falls else "rises" if self.rises else "falls"
        percent, armed_at = units_text(self.percent), units_text(self.armed_at)
        return f"{verb} {percent} % in {minutes_text(self.minutes)}, again after {armed_at} %"

    def crossings(self, seen: Seen) -> list[Crossing]:
        earlier = _closes_before(seen.minutes, self.minutes * MINUTE_NS)

        def crosses(minute: Minute) -> str | None:
            close = earlier.get(minute)
            if close is None or minute.high is None or minute.low is None:
                return None
            for price, sign, verb in ((minute.high, 1, "rose"), (minute.low, -1, "fell")):
                moved = sign * (price - close) * _WHOLE
                if (self.rises if sign > 0 else self.falls) and moved >= self.percent * close:
                    share = cut_text(moved // close, places=2)
                    return f"{price_text(price)}, {verb} {share} % in {minutes_text(self.minutes)}"
            return None

        def calms(minute: Minute) -> bool:
            close = earlier.get(minute)
            if close is None or minute.close is None:
                return False
            moved = (minute.close - close) * _WHOLE
            worst = max(moved if self.rises else 0, -moved if self.falls else 0)
            return worst <= self.armed_at * close

        return _stretches(seen.minutes, crosses, calms)


@dataclass(frozen=True, slots=True)
class Volume:
    """A minute's volume against the mean of the `minutes` before it. armed_at: the multiple that arms it again."""

    times: int
    armed_at: int
    minutes: int

    def __str__(self) -> str:
        return (
            f"volume {units_text(self.times)} times the mean of {minutes_text(self.minutes)}, "
            f"again after {units_text(self.armed_at)} times"
        )

    def crossings(self, seen: Seen) -> list[Crossing]:
        sums = _volumes_before(seen.minutes, self.minutes)

        def crosses(minute: Minute) -> str | None:
            before = sums.get(minute.start_ns, 0)
            pace = minute.volume * self.minutes * UNIT
            if not before or pace < self.times * before:
                return None
            shares = exact_shares(Decimal(minute.volume).scaleb(-PRICE_SCALE))
            return (
                f"{shares:,} shares in a minute, {cut_text(pace // before, places=1)} times the mean of {self.minutes}"
            )

        def calms(minute: Minute) -> bool:
            return minute.volume * self.minutes * UNIT <= self.armed_at * sums.get(minute.start_ns, 0)

        return _stretches(_whole_minutes(seen.minutes), crosses, calms, gaps_calm=True)


@dataclass(frozen=True, slots=True)
class Silence:
    """No trade for so many minutes of the regular hours. Each silence tells once; a trade ends it."""

    minutes: int

    def __str__(self) -> str:
        return f"no trade for {minutes_text(self.minutes)}"

    def crossings(self, seen: Seen) -> list[Crossing]:
        long, hours = self.minutes * MINUTE_NS, seen.hours
        what = f"no trade for {minutes_text(self.minutes)}"
        found, quiet_ns = [], hours.open_ns
        for minute in seen.minutes:
            if not hours.open_ns <= minute.start_ns < hours.close_ns:
                continue
            if minute.start_ns - quiet_ns >= long:
                found.append(Crossing(quiet_ns, quiet_ns + long, minute.start_ns, what))
            quiet_ns = max(quiet_ns, minute.start_ns + MINUTE_NS)
        if min(seen.now_ns, hours.close_ns) - quiet_ns >= long:
            found.append(Crossing(quiet_ns, quiet_ns + long, None, what))
        return found


Condition = Level | Move | Volume | Silence


@dataclass(frozen=True, slots=True)
class Rule:
    """feed: None for each feed that a symbol has. all_hours: whether other parts than the regular one count.

    first, last: session dates between which it is watched; None is no bound.
    """

    name: str
    symbols: tuple[str, ...]
    condition: Condition
    feed: str | None = None
    all_hours: bool = False
    first: date | None = None
    last: date | None = None

    @property
    def says(self) -> str:
        """The rule in words, which differ where two rules do."""
        return f"{self.condition}{', at all hours' if self.all_hours else ''}"

    def is_of(self, session_date: date) -> bool:
        return (self.first is None or self.first <= session_date) and (self.last is None or session_date <= self.last)

    def crossings(self, seen: Seen) -> list[Crossing]:
        """Return the crossings of a session, in the order of time."""
        if not self.all_hours:
            minutes = [minute for minute in seen.minutes if minute.part == REGULAR]
            seen = Seen(minutes, seen.hours, seen.now_ns, seen.previous_close)
        return self.condition.crossings(seen)


def price_text(units: int) -> str:
    """Return dollars with two decimal places or more."""
    whole, parts = divmod(units, UNIT)
    return f"{whole}.{f'{parts:06}'.rstrip('0').ljust(2, '0')}"


def units_text(units: int) -> str:
    return shares_text(Decimal(units).scaleb(-PRICE_SCALE))


def cut_text(units: int, places: int) -> str:
    """Return a number without its further decimal places, so never more than it was."""
    whole, parts = divmod(units, UNIT)
    return f"{whole}.{f'{parts:06}'[:places]}"


def minutes_text(count: int) -> str:
    return "1 minute" if count == 1 else f"{count} minutes"


def _stretches(
    minutes: Sequence[Minute],
    crosses: Callable[[Minute], str | None],
    calms: Callable[[Minute], bool],
    armed: bool = True,
    gaps_calm: bool = False,
) -> list[Crossing]:
    """Walk from crossing to crossing. gaps_calm: whether a minute without a bar arms the rule again."""
    found: list[Crossing] = []

    def arm(at_ns: int) -> None:
        nonlocal armed
        armed = True
        if found and found[-1].end_ns is None:
            found[-1] = found[-1]._replace(end_ns=at_ns)

    past_ns = None
    for minute in minutes:
        if gaps_calm and not armed and past_ns is not None and minute.start_ns > past_ns:
            arm(past_ns)
        # at four o'clock a minute has two bars, of both parts
        crossed = bool(found) and found[-1].at_ns == minute.start_ns
        if armed and not crossed and (what := crosses(minute)) is not None:
            found.append(Crossing(minute.start_ns, minute.start_ns, None, what))
            armed = False
        if not armed and calms(minute):
            arm(minute.start_ns)
        past_ns = minute.start_ns + MINUTE_NS
    return found


def _closes_before(minutes: Sequence[Minute], age_ns: int) -> dict[Minute, int]:
    """Return for each minute the newest close of one so much older; none for the first ones."""
    found: dict[Minute, int] = {}
    place, close = 0, None
    for minute in minutes:
        while minutes[place].start_ns <= minute.start_ns - age_ns:
            close = minutes[place].close if minutes[place].close is not None else close
            place += 1
        if close is not None:
            found[minute] = close
    return found


def _volumes_before(minutes: Sequence[Minute], count: int) -> dict[int, int]:
    """Return for each minute the shares of the `count` minutes before it; none while there are not so many."""
    found: dict[int, int] = {}
    whole = _whole_minutes(minutes)
    first, total = 0, 0
    for minute in whole:
        while whole[first].start_ns < minute.start_ns - count * MINUTE_NS:
            total -= whole[first].volume
            first += 1
        if minute.start_ns - whole[0].start_ns >= count * MINUTE_NS:
            found[minute.start_ns] = total
        total += minute.volume
    return found


def _whole_minutes(minutes: Sequence[Minute]) -> list[Minute]:
    """Return one bar a minute, where a minute of two parts has two."""
    found: list[Minute] = []
    for minute in minutes:
        if found and found[-1].start_ns == minute.start_ns:
            found[-1] = minute._replace(volume=found[-1].volume + minute.volume)
        else:
            found.append(minute)
    return found
