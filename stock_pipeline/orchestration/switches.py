"""Default states of schedules and sensors: on with a local stack, off in an account.

An operator switches them on in the UI once, because a second Dagster with an account's settings must not do everything
twice.
"""

import dagster as dg

from stock_pipeline.settings import Settings


def schedule_status(settings: Settings) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if _is_local(settings) else dg.DefaultScheduleStatus.STOPPED


def sensor_status(settings: Settings) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if _is_local(settings) else dg.DefaultSensorStatus.STOPPED


def _is_local(settings: Settings) -> bool:
    return settings.dbt_target == "local"
