"""Which schedules and sensors run without being switched on: all of them on a laptop.

In an account somebody switches them on once, in the UI: a second Dagster on the same account, such as a laptop's with a
deployment's settings, must not do everything a second time.
"""

import dagster as dg

from stock_pipeline.settings import Settings


def schedule_status(settings: Settings) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if _is_local(settings) else dg.DefaultScheduleStatus.STOPPED


def sensor_status(settings: Settings) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if _is_local(settings) else dg.DefaultSensorStatus.STOPPED


def _is_local(settings: Settings) -> bool:
    return settings.dbt_target == "local"
