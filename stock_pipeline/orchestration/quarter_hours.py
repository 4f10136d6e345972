"""The laptop's sensor that builds the running session at its first trades, and every quarter of an hour after.

In an account bars come after the close: each build costs queries. On a laptop somebody waits to see some. A past
session, which `up` plays again while the exchange is closed, is the sensor `raw_files`'s.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from stock_pipeline.domain.feed_session import feed_session_date, is_feed_session
from stock_pipeline.domain.session import NANOSECONDS
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
    settings = lake.settings
    session = feed_session_date(int(now.timestamp()) * NANOSECONDS, settings.feed)
    if session < settings.first_session or not is_feed_session(session, settings.feed):
        return _skip(f"{session} is no session", cursor)
    if lake.compactor().plan(session).is_empty:
        return _skip(f"session {session} has no new trades", cursor)
    asked = now.isoformat()
    run = dg.RunRequest(run_key=f"quarter_hours:{session}:{asked}", partition_key=session.isoformat())
    return dg.SensorResult(run_requests=[run], cursor=asked)


def _skip(why: str, cursor: str | None) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=cursor)
