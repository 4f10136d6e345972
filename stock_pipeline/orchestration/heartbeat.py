"""The sensor whose ticks show that daemon, code location and database live, and which of the others are on."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus

from stock_pipeline.orchestration.corporate_actions import CORPORATE_ACTIONS_SCHEDULE
from stock_pipeline.orchestration.iceberg_upkeep import UPKEEP_SCHEDULE
from stock_pipeline.orchestration.switches import sensor_status
from stock_pipeline.orchestration.watch_report import heartbeat_events, watch_telemetry
from stock_pipeline.settings import Settings

INTERVAL_SECONDS = 60

OPTIONAL = frozenset({UPKEEP_SCHEDULE, CORPORATE_ACTIONS_SCHEDULE, "default_automation_condition_sensor"})
"""What may be off: the first is for marts in Iceberg, the second needs Alpaca's key, the third has nothing to do."""


def heartbeat_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="heartbeat",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Tells CloudWatch each minute that Dagster lives, and what is switched off.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if context.repository_def is None:
            raise dg.DagsterInvariantViolationError("a tick has the definitions it is one of")
        off = switched_off(context.instance.all_instigator_state(), context.repository_def)
        watch_telemetry(settings).record(heartbeat_events(off))
        return dg.SkipReason(f"off: {', '.join(off)}" if off else "everything is on")

    return sensor


def switched_off(states: Iterable[InstigatorState], repository: dg.RepositoryDefinition) -> list[str]:
    """Return the names of schedules and sensors that don't run."""
    chosen = {state.instigator_name: state.status for state in states}
    on_by_default = {
        **{one.name: one.default_status == dg.DefaultScheduleStatus.RUNNING for one in repository.schedule_defs},
        **{one.name: one.default_status == dg.DefaultSensorStatus.RUNNING for one in repository.sensor_defs},
    }
    return sorted(
        name
        for name, by_default in on_by_default.items()
        if name not in OPTIONAL and not _runs(chosen.get(name), by_default)
    )


def _runs(chosen: InstigatorStatus | None, by_default: bool) -> bool:
    if chosen is None or chosen == InstigatorStatus.DECLARED_IN_CODE:
        return by_default
    return chosen == InstigatorStatus.RUNNING
