"""`make bench-rewriting`: how often the schedule of a day processes each row of a session.

The day is assumed, not measured: 2 % of the trades before the open, 5 % after the close, and a U between. Times are
those of Dagster's schedules, the rule is the one that they ask.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dagster._utils.schedules import schedule_execution_time_iterator

from stock_pipeline.domain.compaction_pace import is_worth_a_rewrite
from stock_pipeline.orchestration.lake_schedules import lake_schedules
from stock_pipeline.settings import Settings

TARGET = 3.7

ROWS = 5_000_000
SESSION = date(2026, 1, 15)
NEW_YORK = ZoneInfo("America/New_York")
HALF_HOUR = timedelta(minutes=30)

_BEFORE = [0.02 / 11] * 11
_U = [14.5, 9.5, 8.0, 7.0, 6.2, 5.6, 5.2, 5.2, 5.6, 6.2, 7.0, 8.2, 11.8]
_AFTER = [0.05 / 8] * 8

DAY = dict(enumerate([*_BEFORE, *(0.93 * part / sum(_U) for part in _U), *_AFTER], start=8))
"""Share of the trades of each half hour since midnight."""


class Figures(NamedTuple):
    """Of one day.

    rows_processed: by all runs, for each row of the day.
    longest_wait: between two versions while the market is open.
    """

    share: float
    runs: int
    rows_processed: float
    longest_wait: timedelta


def main() -> int:
    hourly, close = schedule_of_the_day()
    print(f"{'new share':>10} {'runs':>5} {'rows processed a row':>21} {'longest wait':>13}")
    default = Settings.from_env({}).compact_after_share
    for share in sorted({0.0, 0.1, 0.5, default}):
        figures = simulate(hourly, close, share)
        print(f"{share:>10} {figures.runs:>5} {figures.rows_processed:>21.2f} {figures.longest_wait!s:>13}")
    reached = simulate(hourly, close, default).rows_processed <= TARGET
    print(f"COMPACT_AFTER_SHARE={default}, <= {TARGET}: {'reached' if reached else 'not reached'}")
    return 0


def schedule_of_the_day() -> tuple[str, str]:
    """Return the hourly and the closing schedule."""
    crons = {schedule.name: str(schedule.cron_schedule) for schedule in lake_schedules(Settings.from_env({}))}
    return crons["hourly_compaction"], crons["after_the_close"]


def run_times(cron: str) -> list[datetime]:
    start = datetime(SESSION.year, SESSION.month, SESSION.day, tzinfo=NEW_YORK)
    times: list[datetime] = []
    for time in schedule_execution_time_iterator(start.timestamp(), cron, str(NEW_YORK), ascending=True):
        if time.timestamp() >= (start + timedelta(days=1)).timestamp():
            return times
        times.append(time.astimezone(UTC))
    return times


def simulate(hourly: str, close: str, share: float) -> Figures:
    published = processed = 0
    versions: list[datetime] = []
    for time, is_close in sorted([*((each, False) for each in run_times(hourly)), (run_times(close)[0], True)]):
        rows = rows_until(time)
        if is_close or is_worth_a_rewrite(rows - published, published, share):
            published = rows
            processed += rows
            versions.append(time)
    waits = [later - earlier for earlier, later in pairwise(versions) if is_open(later)]
    return Figures(share, len(versions), processed / ROWS, max(waits))


def rows_until(time: datetime) -> int:
    local = time.astimezone(NEW_YORK)
    half_hours = (local - local.replace(hour=0, minute=0, second=0, microsecond=0)) / HALF_HOUR
    return round(ROWS * sum(part * min(1, max(0, half_hours - number)) for number, part in DAY.items()))


def is_open(time: datetime) -> bool:
    local = time.astimezone(NEW_YORK)
    return (9, 30) <= (local.hour, local.minute) <= (16, 5)


if __name__ == "__main__":
    raise SystemExit(main())
