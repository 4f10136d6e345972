"""Alerts of failed runs, failed ticks and stale assets.

They go to SNS if there is a topic (ALERT_TOPIC_ARN), and into the log. Dagster's own standstill is for CloudWatch's
alarms.
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

DAGSTER_URL = "http://localhost:3000"
"""What `make ui` and `make up` open."""

RUNBOOK_URL = "docs/runbook.md"
RUNS = "runs-and-ticks"
SESSIONS = "states-of-a-session"
"""Sections of the runbook."""


class AlertResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Receiver of alerts.

    topic_arn: empty for the log.
    """

    aws_region: str
    topic_arn: str
    dagster_url: str = DAGSTER_URL
    runbook_url: str = RUNBOOK_URL

    def send(self, log: Any, subject: str, message: str, section: str = RUNS, run_id: str | None = None) -> None:
        """Log an alert, and send it to the topic if there is one, with links to what to look at.

        log: a context's.
        section: the runbook's, as its heading's anchor.
        """
        log.error("%s: %s", subject, message)
        if not self.topic_arn:
            return
        clients = Clients(self.aws_region)
        try:
            AlertTopic(clients.sns, self.topic_arn).send(subject, f"{message}\n\n{self.links(section, run_id)}")
        finally:
            clients.close()

    def links(self, section: str, run_id: str | None) -> str:
        run = [f"Run: {self.dagster_url.rstrip('/')}/runs/{run_id}"] if run_id else []
        return "\n".join([*run, f"What to do: {self.runbook_url}#{section}"])


def alert_definitions(settings: Settings) -> dg.Definitions:
    return dg.Definitions(
        sensors=[run_failures(settings), tick_failures(settings)],
        resources={
            "alerts": AlertResource(
                aws_region=settings.aws_region,
                topic_arn=settings.alert_topic_arn or "",
                dagster_url=settings.dagster_url or DAGSTER_URL,
                runbook_url=settings.runbook_url or RUNBOOK_URL,
            ),
        },
    )


def run_failures(settings: Settings) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="run_failures",
        default_status=sensor_status(settings),
        description="Sends an alert for each failed run.",
    )
    def sensor(context: dg.RunFailureSensorContext, alerts: AlertResource) -> None:
        run = context.dagster_run
        about = run.tags.get("dagster/partition", run.tags.get("dagster/asset_partition_range_start", ""))
        subject = f"{settings.environment}: run of {run.job_name} failed{f' for {about}' if about else ''}"
        alerts.send(context.log, subject, f"run {run.run_id}: {context.failure_event.message}", run_id=run.run_id)

    return sensor


class FailedTick(NamedTuple):
    """A failed tick.

    name: of the schedule or sensor.
    at: seconds since 1970 UTC.
    """

    name: str
    at: float
    error: str


def tick_failures(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="tick_failures",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Sends an alert for each failed tick of a schedule or sensor.",
    )
    def sensor(context: dg.SensorEvaluationContext, alerts: AlertResource) -> dg.SensorResult:
        seen_until = float(json.loads(context.cursor)) if context.cursor else time.time() - INTERVAL_SECONDS
        failed = sorted(failed_ticks(context.instance, seen_until), key=lambda tick: tick.at)[:ALERTS_A_TICK]
        for tick in failed:
            alerts.send(context.log, f"{settings.environment}: a tick of {tick.name} failed", tick.error)
        # sent before the cursor moves: a crash in between repeats an alert and loses none
        latest = failed[-1].at if failed else seen_until
        return dg.SensorResult(skip_reason=f"{len(failed)} ticks failed", cursor=json.dumps(latest))

    return sensor


def failed_ticks(instance: dg.DagsterInstance, after: float) -> Iterator[FailedTick]:
    """Yield the ticks that failed later than `after`."""
    states: Iterable[InstigatorState] = instance.all_instigator_state()
    for state in states:
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, after=after, statuses=[TickStatus.FAILURE]
        )
        for tick in ticks:
            if tick.timestamp > after:
                error = tick.error.message.strip() if tick.error else "Dagster gives no reason"
                yield FailedTick(state.instigator_name, tick.timestamp, error)
