"""Schedules and jobs of compaction and garbage collection."""

from datetime import date, timedelta
from typing import Any

import dagster as dg

from stock_pipeline.domain.session import is_trading_day
from stock_pipeline.errors import PermanentError
from stock_pipeline.lake.garbage_collection import DEFAULT_GRACE
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import schedule_status
from stock_pipeline.settings import Settings

SESSION_JOB = "session"
"""The job over all assets, made by `definitions`."""

COMPACTION_JOB = "compaction"
GARBAGE_COLLECTION_JOB = "garbage_collection"
CLOSED_DAY_JOB = "closed_day"

_NEW_YORK = "America/New_York"

_HOURS_OF_TRADING = "5 5-19 * * 1-5"
"""Every hour of the extended session, five minutes past."""

_AFTER_THE_CLOSE = "30 20 * * 1-5"
"""Extended hours end at 20:00; the last batch window and its retries need minutes."""

_AT_NIGHT = "0 3 * * *"


class GarbageCollectionConfig(dg.Config):
    """Options of a garbage collection.

    grace_days: how long to keep what was superseded.
    dry_run: report without deleting.
    """

    grace_days: float = DEFAULT_GRACE / timedelta(days=1)
    dry_run: bool = False


def lake_jobs() -> list[Any]:
    """Return the lake's jobs, for which Dagster has no public type."""
    compaction = dg.define_asset_job(
        COMPACTION_JOB, selection=dg.AssetSelection.assets("trades"), description="Compact one session and publish it."
    )
    return [compaction, garbage_collection(), closed_day()]


def lake_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    status = schedule_status(settings)
    return [
        _session_schedule(
            "hourly_compaction", COMPACTION_JOB, _HOURS_OF_TRADING, "Compact the current session.", status
        ),
        _session_schedule(
            "after_the_close", SESSION_JOB, _AFTER_THE_CLOSE, "Compact the session and build the models.", status
        ),
        dg.ScheduleDefinition(
            name="nightly_garbage_collection",
            job_name=GARBAGE_COLLECTION_JOB,
            cron_schedule=_AT_NIGHT,
            execution_timezone=_NEW_YORK,
            default_status=status,
            description="After a grace period, delete superseded versions, and delete or expire compacted raw files.",
        ),
    ]


def garbage_collection() -> dg.JobDefinition:
    @dg.op(description="After a grace period, delete superseded versions, and delete or expire compacted raw files.")
    def collect(context: dg.OpExecutionContext, config: GarbageCollectionConfig, lake: LakeResource) -> None:
        done = list(lake.garbage_collector(timedelta(days=config.grace_days)).collect(config.dry_run))
        for session in done:
            context.log.info("%s", session)
        context.add_output_metadata(
            {
                "sessions": len(done),
                "versions": sum(len(session.versions) for session in done),
                "raw_files": sum(session.raw_files for session in done),
                "set_aside": [key for session in done for key in session.unreadable],
                "bytes": sum(session.size for session in done),
                "dry_run": config.dry_run,
            }
        )
        if not config.dry_run:
            lake.unpublished_sessions().refresh(raw_folders(lake.objects))

    @dg.job(name=GARBAGE_COLLECTION_JOB)
    def job() -> None:
        collect()

    return job


class ClosedDayConfig(dg.Config):
    """The date to compact.

    day: such as 2018-01-06.
    """

    day: str


def closed_day_config(day: str) -> dict[str, Any]:
    return {"ops": {"compact_closed_day": {"config": {"day": day}}}}


def closed_day() -> dg.JobDefinition:
    @dg.op(description="Compact the trades of a date on which the exchange was closed.")
    def compact_closed_day(context: dg.OpExecutionContext, config: ClosedDayConfig, lake: LakeResource) -> None:
        try:
            report = lake.compactor().compact(date.fromisoformat(config.day))
        except PermanentError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.warning("%s is not a trading day, but has %s trades", config.day, report.rows_out)
        context.add_output_metadata({"rows": report.rows_out, "version": report.version})

    @dg.job(name=CLOSED_DAY_JOB)
    def job() -> None:
        compact_closed_day()

    return job


def _session_schedule(
    name: str, job_name: str, cron: str, description: str, status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job_name=job_name,
        cron_schedule=cron,
        execution_timezone=_NEW_YORK,
        default_status=status,
        description=description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        session_date = context.scheduled_execution_time.date()
        key = session_date.isoformat()
        if not is_trading_day(session_date):
            return dg.SkipReason(f"{key} is not a trading day of the exchange")
        return dg.RunRequest(partition_key=key)

    return schedule
