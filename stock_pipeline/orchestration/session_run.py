"""The session's job, run in this process for the demo."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import dagster as dg

from stock_pipeline.errors import PermanentError


class SessionRun(NamedTuple):
    """Figures of a run's compaction."""

    rows_in: int
    rows_out: int


def run_session(
    definitions: dg.Definitions, job_name: str, session_date: date, on_step: Callable[[str], None]
) -> SessionRun:
    """Run the job for one session; `PermanentError` names the failed step.

    on_step: called with each finished step.
    """
    job = definitions.resolve_job_def(job_name)
    key = session_date.isoformat()
    if job.partitions_def is None or not job.partitions_def.has_partition_key(key):
        raise PermanentError(f"{key} is not a trading day of the exchange: name a day with a session")
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = dg.DagsterRun(job_name=job_name).run_id
        instance.add_event_listener(run_id, lambda entry: _tell(entry, on_step))
        result = job.execute_in_process(
            instance=instance,
            partition_key=key,
            run_id=run_id,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )
    failures = [event for event in result.all_events if event.is_step_failure]
    if failures:
        error = failures[0].step_failure_data.error
        if error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
            # Dagster reports Ctrl-C as the failure of a step
            raise KeyboardInterrupt
        while error is not None and error.cause is not None:
            # the outer errors are Dagster's, and only say that a step failed
            error = error.cause
        reason = error.message.strip() if error else "Dagster gives no reason"
        raise PermanentError(f"step {failures[0].step_key} of session {key} failed: {reason}")
    metadata = result.asset_materializations_for_node("trades")[0].metadata
    if "rows_in" not in metadata:
        return SessionRun(0, 0)
    return SessionRun(int(str(metadata["rows_in"].value)), int(str(metadata["dagster/partition_row_count"].value)))


def _tell(entry: dg.EventLogEntry, on_step: Callable[[str], None]) -> None:
    event = entry.dagster_event
    if event is None:
        return
    if event.is_step_success and event.step_key is not None:
        on_step(f"{event.step_key}, {event.step_success_data.duration_ms / 1000:.1f} s")
