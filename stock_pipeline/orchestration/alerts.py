"""Telling people: a failed run, a failed tick of a schedule or sensor, and what has become stale.

With a topic (ALERT_TOPIC_ARN) it is a message to SNS, without one a log line. That Dagster itself stands still nobody
here can tell: in an account CloudWatch's alarms look at the pipeline from outside.
"""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, TickStatus

from stock_pipeline.aws.alert_topic import AlertTopic
from stock_pipeline.aws.clients import Clients
from stock_pipeline.orchestration.switches import sensor_status
from stock_pipeline.settings import Settings

INTERVAL_SECONDS = 60
ALERTS_A_TICK = 20


class AlertResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Who is told. topic_arn: empty for the log."""

    aws_region: str
    topic_arn: str

    def send(self, log: Any, subject: str, message: str) -> None:
        """log: a context's."""
        log.error("%s: %s", subject, message)
        if not self.topic_arn:
            return
        clients = Clients(self.aws_region)
        try:
            AlertTopic(clients.sns, self.topic_arn).send(subject, message)
        finally:
            clients.close()


def alert_definitions(settings: Settings) -> dg.Definitions:
    return dg.Definitions(
        sensors=[run_failures(settings), tick_failures(settings)],
        resources={
            "alerts": AlertResource(aws_region=settings.aws_region, topic_arn=settings.alert_topic_arn or ""),
        },
    )


def run_failures(settings: Settings) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="run_failures",
        default_status=sensor_status(settings),
        description="Tells of each failed run, once.",
    )
    def sensor(context: dg.RunFailureSensorContext, alerts: AlertResource) -> None:
        run = context.dagster_run
        about = run.tags.get("dagster/partition", run.tags.get("dagster/asset_partition_range_start", ""))
        subject = f"{settings.environment}: run of {run.job_name} failed{f' for {about}' if about else ''}"
        alerts.send(context.log, subject, f"run {run.run_id}: {context.failure_event.message}")

    return sensor


class FailedTick(NamedTuple):
    """name: of the schedule or sensor. at: seconds since 1970 UTC."""

    name: str
    at: float
    error: str


def tick_failures(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="tick_failures",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Tells of ticks of schedules and sensors that failed.",
    )
    def sensor(context: dg.SensorEvaluationContext, alerts: AlertResource) -> dg.SensorResult:
        seen_until = float(json.loads(context.cursor)) if context.cursor else time.time() - INTERVAL_SECONDS
        failed = sorted(failed_ticks(context.instance, seen_until), key=lambda tick: tick.at)[:ALERTS_A_TICK]
        for tick in failed:
            alerts.send(context.log, f"{settings.environment}: a tick of {tick.name} failed", tick.error)
        # told first, then remembered: after a crash in between somebody hears of it twice
        latest = failed[-1].at if failed else seen_until
        return dg.SensorResult(skip_reason=f"{len(failed)} ticks failed", cursor=json.dumps(latest))

    return sensor


def failed_ticks(instance: dg.DagsterInstance, after: float) -> Iterator[FailedTick]:
    """Ticks that failed later than that, of every schedule and sensor."""
    states: Iterable[InstigatorState] = instance.all_instigator_state()
    for state in states:
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, after=after, statuses=[TickStatus.FAILURE]
        )
        for tick in ticks:
            if tick.timestamp > after:
                error = tick.error.message.strip() if tick.error else "Dagster gives no reason"
                yield FailedTick(state.instigator_name, tick.timestamp, error)
