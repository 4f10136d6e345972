"""The laptop's sensor that builds the running session soon after the start, and every quarter of an hour after.

In an account bars come after the close: each build costs queries. On a laptop somebody waits to see some.
"""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from stock_pipeline.domain.feed_session import is_feed_session
from stock_pipeline.domain.lake_layout import session_date_of_key
from stock_pipeline.domain.session import NANOSECONDS, session_date_of
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.orchestration.lake_schedules import SESSION_JOB
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import sensor_status
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import utc_now

EVERY = timedelta(minutes=15)
INTERVAL_SECONDS = 15


def quarter_hour_definitions(settings: Settings) -> dg.Definitions:
    return dg.Definitions(sensors=[quarter_hour_sensor(settings)] if settings.dbt_target == "local" else [])


def quarter_hour_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="quarter_hours",
        job_name=SESSION_JOB,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="On a laptop: compacts the running session and builds its bars once it has trades, then every "
        "15 minutes.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        return look(lake, context.cursor, utc_now())

    return sensor


def look(lake: LakeResource, cursor: str | None, now: datetime) -> dg.SensorResult:
    """Make one tick.

    cursor: when a run was last requested.
    """
    last = datetime.fromisoformat(cursor) if cursor else datetime.min.replace(tzinfo=UTC)
    if now - last < EVERY:
        return _skip(f"the next run is due at {last + EVERY:%H:%M} UTC", cursor)
    session = _newest_session(lake, session_date_of(int(now.timestamp()) * NANOSECONDS))
    if session is None:
        return _skip("there are no trades yet", cursor)
    if lake.compactor().plan(session).is_empty:
        return _skip(f"session {session} has nothing new", cursor)
    asked = now.isoformat()
    run = dg.RunRequest(run_key=f"quarter_hours:{session}:{asked}", partition_key=session.isoformat())
    return dg.SensorResult(run_requests=[run], cursor=asked)


def _newest_session(lake: LakeResource, today: date) -> date | None:
    """Return the newest session with raw files that has a partition; none of a source's wrong clock."""
    settings = lake.settings
    found: list[date] = []
    for folder in raw_folders(lake.objects):
        # a folder of no date is the sweep's to tell
        with suppress(ValueError):
            found.append(session_date_of_key(folder))
    sessions = (day for day in found if settings.first_session <= day <= today and is_feed_session(day, settings.feed))
    return max(sessions, default=None)


def _skip(why: str, cursor: str | None) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=cursor)
