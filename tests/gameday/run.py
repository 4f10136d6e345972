"""Runs a game day."""

from collections.abc import Callable
from pathlib import Path

from tests.gameday.account import open_account
from tests.gameday.aws_scenes import MEASURED, PRINTED
from tests.gameday.page import GameDay, Row
from tests.gameday.quiet import QUIET
from tests.gameday.scenes import SCENES

PAGE = Path(__file__).parents[2] / "docs" / "alarms.md"


def game_day(tell: Callable[[str], object]) -> GameDay:
    """Play every scene. tell: takes a line for each."""

    def told(row: Row) -> Row:
        tell(f"{row.broken}: {', '.join(f'{name} ({at})' for name, at in row.alarms.items()) or 'nobody tells'}")
        return row

    with open_account() as new:
        live = [told(Row(scene.name, scene.play(new))) for scene in SCENES]
        quiet = [told(Row(scene.name, scene.play(new))) for scene in QUIET]
    return GameDay(live, [told(Row(scene.name, scene.play())) for scene in (*MEASURED, *PRINTED)], quiet)
