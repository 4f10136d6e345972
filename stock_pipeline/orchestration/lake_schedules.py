"""Schedules and jobs of compaction, of the nightly sweep for late files, and of garbage collection."""

import time
from datetime import date, timedelta
from typing import Any

import dagster as dg

from stock_pipeline.domain.compaction_pace import is_worth_a_rewrite
from stock_pipeline.domain.feed_session import SessionRule, is_feed_session, session_rule
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.errors import PermanentError
from stock_pipeline.lake.garbage_collection import DEFAULT_GRACE, SessionGarbage
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import schedule_status
from stock_pipeline.settings import Settings

SESSION_JOB = "session"
"""The job over all assets, made by `definitions`."""

COMPACTION_JOB = "compaction"
GARBAGE_COLLECTION_JOB = "garbage_collection"
SWEEP_JOB = "late_file_sweep"
CLOSED_DAY_JOB = "closed_day"

_NEW_YORK = "America/New_York"

_HOURS_OF_TRADING = "5 5-19 * * 1-5"
"""Every hour of the extended session, five minutes past."""

_AFTER_THE_CLOSE = "30 20 * * 1-5"
"""Extended hours end at 20:00; the last batch window and its retries need minutes."""

_BEFORE_GARBAGE_COLLECTION = "0 2 * * *"
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
    return [compaction, late_file_sweep(), garbage_collection(), closed_day()]


def lake_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    status = schedule_status(settings)
    return [
        _hourly_compaction(settings, status),
        _after_the_close(settings, status),
        dg.ScheduleDefinition(
            name="nightly_sweep",
            job_name=SWEEP_JOB,
            cron_schedule=_BEFORE_GARBAGE_COLLECTION,
            execution_timezone=_NEW_YORK,
            default_status=status,
            description="Look at every session for raw files that its published version lacks.",
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


def late_file_sweep() -> dg.JobDefinition:
    @dg.op(description="Reopen each session with raw files that its published version lacks.")
    def sweep(context: dg.OpExecutionContext, lake: LakeResource) -> None:
        reopened: list[str] = []
        try:
            for session_date in lake.sweep().run(raw_folders(lake.objects), session_date_of(time.time_ns())):
                reopened.append(session_date.isoformat())
        finally:
            # also of a sweep that fails at its end
            context.add_output_metadata({"reopened": reopened})
            context.log.info("reopened: %s", ", ".join(reopened) or "none")

    @dg.job(name=SWEEP_JOB, description="Look at every session for raw files that its published version lacks.")
    def job() -> None:
        sweep()

    return job


def garbage_collection() -> dg.JobDefinition:
    @dg.op(description="After a grace period, delete superseded versions, and delete or expire compacted raw files.")
    def collect(context: dg.OpExecutionContext, config: GarbageCollectionConfig, lake: LakeResource) -> None:
        done: list[SessionGarbage] = []
        failures = SessionFailures()
        with failures.of("garbage collection"):
            for session in lake.garbage_collector(timedelta(days=config.grace_days)).collect(config.dry_run):
                context.log.info("%s", session)
                done.append(session)
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
            with failures.of("unpublished sessions"):
                lake.unpublished_sessions().refresh(raw_folders(lake.objects))
        failures.raise_all()

    @dg.job(
        name=GARBAGE_COLLECTION_JOB,
        description="After a grace period, delete superseded versions, and delete or expire compacted raw files.",
    )
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
    @dg.op(description="Compact the trades of a date without a partition: closed, or before the first session.")
    def compact_closed_day(context: dg.OpExecutionContext, config: ClosedDayConfig, lake: LakeResource) -> None:
        try:
            report = lake.compactor().compact(date.fromisoformat(config.day))
        except PermanentError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.warning("%s is no session of Dagster's, but has %s trades", config.day, report.rows_out)
        context.add_output_metadata({"rows": report.rows_out, "version": report.version})

    @dg.job(
        name=CLOSED_DAY_JOB,
        description="Compact the trades of a date without a partition: closed, or before the first session.",
    )
    def job() -> None:
        compact_closed_day()

    return job


def _hourly_compaction(settings: Settings, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="hourly_compaction",
        job_name=COMPACTION_JOB,
        cron_schedule=_days_of(settings.feed, _HOURS_OF_TRADING),
        execution_timezone=_NEW_YORK,
        default_status=status,
        description="Compact the current session, once enough of it is new.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> dg.RunRequest | dg.SkipReason:
        asked = _of_the_day(context, settings)
        if isinstance(asked, dg.SkipReason):
            return asked
        plan = lake.compactor().plan(context.scheduled_execution_time.date())
        new_bytes = sum(file.size for file in plan.new_files)
        base_bytes = sum(file.size for file in plan.base_inputs)
        if plan.damage or is_worth_a_rewrite(new_bytes, base_bytes, settings.compact_after_share):
            return asked
        new = new_bytes / (new_bytes + base_bytes) if new_bytes else 0
        return dg.SkipReason(
            f"{new:.0%} of the session is new, and it is written anew from {settings.compact_after_share:.0%} on"
        )

    return schedule


def _after_the_close(settings: Settings, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="after_the_close",
        job_name=SESSION_JOB,
        cron_schedule=_days_of(settings.feed, _AFTER_THE_CLOSE),
        execution_timezone=_NEW_YORK,
        default_status=status,
        description="Compact the session and build the models.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return _of_the_day(context, settings)

    return schedule


def _days_of(feed: str, on_weekdays: str) -> str:
    """Return the cron schedule on the days of the feed's sessions."""
    return on_weekdays.replace("1-5", "*") if session_rule(feed) is SessionRule.CONTINUOUS else on_weekdays


def _of_the_day(context: dg.ScheduleEvaluationContext, settings: Settings) -> dg.RunRequest | dg.SkipReason:
    session_date = context.scheduled_execution_time.date()
    if not is_feed_session(session_date, settings.feed):
        return dg.SkipReason(f"{session_date} is not a trading day of the exchange")
    if session_date < settings.first_session:
        return dg.SkipReason(f"{session_date} is before FIRST_SESSION, {settings.first_session}")
    return dg.RunRequest(partition_key=session_date.isoformat())
