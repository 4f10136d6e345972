"""Whatever breaks, somebody is told; where nothing is broken, nobody; and docs/alarms.md is what a game day gives."""

import pytest

from tests.gameday.page import ENVIRONMENT, GameDay, page
from tests.gameday.run import PAGE, game_day
from tests.support.alarms import planned_alarms

pytestmark = [
    pytest.mark.xdist_group("gameday"),
    pytest.mark.system,
    # a Lambda's process ends with its connections open; here the next scene drops them
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def day() -> GameDay:
    return game_day(lambda _line: None)


def test_no_part_breaks_without_an_alarm(day: GameDay) -> None:
    assert [row.broken for row in (*day.live, *day.measured) if not row.alarms] == []


def test_nights_weekends_holidays_and_half_days_are_quiet(day: GameDay) -> None:
    assert {row.broken: row.alarms for row in day.quiet if row.alarms} == {}


def test_every_planned_alarm_tells_of_something(day: GameDay) -> None:
    fired = {name for row in (*day.live, *day.measured) for name in row.alarms}
    assert set(planned_alarms(ENVIRONMENT)) - fired == set()


def test_the_page_is_what_a_game_day_gives(day: GameDay) -> None:
    assert page(day) == PAGE.read_text(), "run make gameday"
