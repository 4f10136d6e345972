"""Redrive in Dagster: the job, its sensor and its daily schedule.

`domain.redrive_pace` decides when a run is due, `domain.redrive_plan` what becomes of a message.
"""

import json
import time
from dataclasses import asdict

import dagster as dg

from stock_pipeline.domain.redrive_pace import Pace, after_asking, after_emptying, due_at, nothing_came_back
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.orchestration.resources import RedriveResource
from stock_pipeline.orchestration.switches import schedule_status, sensor_status
from stock_pipeline.redrive.report import ACTIONS, RedriveReport
from stock_pipeline.redrive.wiring import DEFAULT_LIMIT, DEFAULT_LINES_PER_SECOND
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.telemetry import Telemetry

REDRIVE_JOB = "redrive"

INTERVAL_SECONDS = 60
RUN_SECONDS = 240

_BEFORE_THE_MARKET_OPENS = "0 6 * * *"
_SHOWN_MESSAGES = 100


class RedriveConfig(dg.Config):
    """Options of `stock-pipeline redrive`.

    limit: messages at most.
    seconds: time at most.
    reason: of rejected lines; empty for all messages.
    """

    limit: int = DEFAULT_LIMIT
    seconds: int = RUN_SECONDS
    reason: str = ""
    lines_per_second: int = DEFAULT_LINES_PER_SECOND
    dry_run: bool = False


def redrive_definitions(settings: Settings) -> dg.Definitions:
    return dg.Definitions(
        jobs=[redrive_job()],
        sensors=[dead_letter_sensor(settings)],
        schedules=[
            dg.ScheduleDefinition(
                name="daily_redrive",
                job_name=REDRIVE_JOB,
                cron_schedule=_BEFORE_THE_MARKET_OPENS,
                execution_timezone="America/New_York",
                default_status=schedule_status(settings),
                description="Redrive what is in the dead-letter queue, regardless of the sensor's pace.",
            )
        ],
        resources={"redrive": RedriveResource(environ=settings.environ())},
    )


def redrive_job() -> dg.JobDefinition:
    @dg.op(name="redrive_messages", description="Put messages of the dead-letter queue into the stream again.")
    def redrive_messages(context: dg.OpExecutionContext, config: RedriveConfig, redrive: RedriveResource) -> None:
        run = redrive.redrive(context.run_id, config.lines_per_second)
        reason = Reason(config.reason) if config.reason else None
        report = run.run(config.limit, time.time_ns() + config.seconds * 10**9, config.dry_run, reason)
        if not config.dry_run:
            # alarms read these metrics of every redrive; CloudWatch keeps a run's output as a log
            Telemetry("redrive", redrive.settings.environment, print, time.time_ns).record(
                report.events(context.run_id)
            )
        for outcome in report.outcomes:
            if outcome.needs_a_look:
                context.log.warning("%s is %s: %s", outcome.message_id, outcome.action, outcome.why)
        if report.trouble:
            context.log.error("in trouble: %s", report.trouble)
        context.add_output_metadata(redrive_metadata(report) | {"dry_run": dg.MetadataValue.bool(config.dry_run)})

    @dg.job(name=REDRIVE_JOB, description="Put messages of the dead-letter queue back into the stream, or park them.")
    def job() -> None:
        redrive_messages()

    return job


def redrive_metadata(report: RedriveReport) -> dict[str, dg.MetadataValue]:
    """Return the number of messages by outcome, and the first messages in full."""
    counts = report.counts
    return {
        "messages": dg.MetadataValue.int(len(report.outcomes)),
        **{action: dg.MetadataValue.int(counts.get(action, 0)) for action in ACTIONS},
        "lines": dg.MetadataValue.int(sum(outcome.lines for outcome in report.outcomes)),
        "rejected_again": dg.MetadataValue.int(sum(outcome.rejected for outcome in report.outcomes)),
        "outcomes": dg.MetadataValue.json([asdict(outcome) for outcome in report.outcomes[:_SHOWN_MESSAGES]]),
    }


def dead_letter_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="dead_letters",
        job_name=REDRIVE_JOB,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Requests a redrive while the dead-letter queue has messages, ever more rarely while that changes "
        "nothing.",
    )
    def sensor(context: dg.SensorEvaluationContext, redrive: RedriveResource) -> dg.SensorResult:
        return look(redrive, context.cursor, int(time.time()))

    return sensor


def look(redrive: RedriveResource, cursor: str | None, now: int) -> dg.SensorResult:
    """Make one tick.

    A tick that crashes before its cursor is kept requests the same run again. Dagster starts it once, because the run
    key follows from the cursor.

    now: seconds since 1970 UTC.
    """
    pace = Pace(**json.loads(cursor)) if cursor else Pace()
    if not redrive.has_queue():
        return dg.SensorResult(skip_reason="DEAD_LETTER_QUEUE_URL is not set: there is no queue to look at")
    depth = redrive.depth()
    if depth.total == 0:
        return _nothing("the queue is empty", after_emptying(pace) if nothing_came_back(pace, now) else pace)
    if depth.waiting == 0:
        return _nothing(f"all {depth.hidden} messages are in hand, or rest after a try", pace)
    due = due_at(pace, depth)
    if now < due:
        return _nothing(f"{depth.waiting} messages wait; the next run is due in {due - now} s", pace)
    following = after_asking(pace, depth, now)
    request = dg.RunRequest(
        run_key=f"dead_letters:{following.attempt}:{pace.asked_at}",
        tags={"attempt": str(following.attempt), "depth": str(depth.total)},
    )
    return dg.SensorResult(run_requests=[request], cursor=json.dumps(asdict(following)))


def _nothing(why: str, pace: Pace) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=json.dumps(asdict(pace)))
