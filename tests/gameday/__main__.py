"""`make gameday`: break everything in turn, and write docs/alarms.md. Fails if a part breaks and nobody tells."""

from tests.gameday.page import page
from tests.gameday.run import PAGE, game_day


def main() -> int:
    day = game_day(print)
    silent = [row.broken for row in (*day.live, *day.measured) if not row.alarms]
    loud = [row.broken for row in day.quiet if row.alarms]
    if silent or loud:
        print(f"nobody tells of: {silent}; false alarms in: {loud}")
        return 1
    PAGE.write_text(page(day))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
