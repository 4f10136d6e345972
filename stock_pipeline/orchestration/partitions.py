"""The partitions definition: a partition a trading day, named by its session date in New York.

Every partitioned asset uses it, so that jobs and backfills may select them together.
"""

from datetime import date, datetime

import dagster as dg

from stock_pipeline.domain.feed_session import SessionRule, session_rule
from stock_pipeline.domain.session import CLOSED, holidays, unplanned

LAST_CALENDAR_YEAR = 2099

SESSIONS_A_RUN = 20
"""Of a backfill, which compacts one after the other in the memory of one."""

_WEEKENDS = ("0 0 * * 6", "0 0 * * 0")


def session_partitions(first: date, feed: str = "") -> dg.DailyPartitionsDefinition:
    """Return the feed's session dates from the first to the current one: trading days, or every day of UTC.

    On a closed day the next session is there already, because Dagster's definition counts partitions, not days.
    """
    if session_rule(feed) is SessionRule.CONTINUOUS:
        return dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="UTC", end_offset=1)
    odd = {day for day, hours in unplanned().items() if hours is CLOSED}
    closings = odd.union(*(holidays(year) for year in range(first.year, LAST_CALENDAR_YEAR + 1)))
    return dg.DailyPartitionsDefinition(
        start_date=first.isoformat(),
        timezone="America/New_York",
        end_offset=1,
        exclusions=[*_WEEKENDS, *(datetime(day.year, day.month, day.day) for day in sorted(closings) if day >= first)],  # noqa: DTZ001
    )
