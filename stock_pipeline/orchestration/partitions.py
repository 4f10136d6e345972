"""The partitions definition: a partition a trading day, named by its session date in New York.

Every partitioned asset uses it, so that jobs and backfills may select them together.
"""

from datetime import datetime

import dagster as dg

from stock_pipeline.domain.session import FIRST_CALENDAR_YEAR, SPECIAL_CLOSINGS, holidays

LAST_CALENDAR_YEAR = 2099

SESSIONS_A_RUN = 20
"""Of a backfill, which compacts one after the other in the memory of one."""

_WEEKENDS = ("0 0 * * 6", "0 0 * * 0")


def session_partitions() -> dg.DailyPartitionsDefinition:
    """Return the trading days from 2007 to the current one."""
    closings = SPECIAL_CLOSINGS.union(*(holidays(year) for year in range(FIRST_CALENDAR_YEAR, LAST_CALENDAR_YEAR + 1)))
    return dg.DailyPartitionsDefinition(
        start_date=f"{FIRST_CALENDAR_YEAR}-01-03",
        timezone="America/New_York",
        end_offset=1,
        exclusions=[*_WEEKENDS, *(datetime(day.year, day.month, day.day) for day in sorted(closings))],  # noqa: DTZ001
    )
