"""Dagster's signs of life and verdicts as metrics, for alarms outside of it. The judging is `domain.freshness`'s.

Dagster's tasks print them; CloudWatch reads them from the tasks' logs. Nothing here imports Dagster.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from stock_pipeline.domain.freshness import Finding
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.telemetry import LogEvent, Metric, Telemetry

SERVICE = "dagster"

HEARTBEATS = Metric("Heartbeats", "Count", None, "Ticks of Dagster's sensor `heartbeat`, one a minute.")
SWITCHED_OFF = Metric("SwitchedOff", "Count", None, "Dagster's schedules and sensors that nobody has switched on.")
STALE_ASSETS = Metric("StaleAssets", "Count", "Asset", "1 while the asset lacks what is due by the calendar, else 0.")
UNEXPLAINED = Metric(
    "UnexplainedDifferences",
    "Count",
    None,
    "Symbols about which the places of a session disagree, and raw files of it that can't be read.",
)

METRICS = (HEARTBEATS, SWITCHED_OFF, STALE_ASSETS, UNEXPLAINED)


def watch_telemetry(settings: Settings) -> Telemetry:
    # at once, because a container's output is a pipe, and at night nobody fills its buffer
    return Telemetry(SERVICE, settings.environment, partial(print, flush=True), time.time_ns)


def heartbeat_events(switched_off: Sequence[str]) -> Iterator[LogEvent]:
    """Yield one event. switched_off: names of schedules and sensors."""
    values: dict[Metric, float] = {HEARTBEATS: 1, SWITCHED_OFF: len(switched_off)}
    yield LogEvent("INFO", "heartbeat", {"switched_off": list(switched_off)}, values)


def freshness_events(findings: Mapping[str, Finding]) -> Iterator[LogEvent]:
    """Yield one event for each asset."""
    for asset, finding in findings.items():
        level = "INFO" if finding.fresh else "ERROR"
        yield LogEvent(level, finding.why, {}, {STALE_ASSETS: int(not finding.fresh)}, asset)


def reconciliation_events(session: str, differences: int) -> Iterator[LogEvent]:
    """Yield one event. differences: symbols and unreadable files."""
    level = "ERROR" if differences else "INFO"
    yield LogEvent(level, "session reconciled", {"session": session}, {UNEXPLAINED: differences})
