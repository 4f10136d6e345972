"""What the page shows beside prices: what `status` knows, rejected lines, Dagster's runs, and corporate actions."""

import io
import json
import os
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from stock_pipeline.serving.shapes import (
    Action,
    Alarm,
    Backlog,
    DeadLetters,
    Finding,
    Pipeline,
    Processor,
    RejectedLine,
    Run,
)

if TYPE_CHECKING:
    from stock_pipeline.domain.corporate_action import CorporateAction
    from stock_pipeline.settings import Settings
    from stock_pipeline.wiring import Wiring

T = TypeVar("T")

HOUR = {
    # each batch reports once
    "invocations": ("ReceivedTrades", "SampleCount"),
    "unfinished": ("UnfinishedBatches", "Sum"),
    "trades": ("ReceivedTrades", "Sum"),
    "state_writes": ("StateWrites", "Sum"),
    "state_conflicts": ("StateConflicts", "Sum"),
}
"""Fields of `Processor`: a metric of the processor, and its statistic."""

RUNBOOK = "docs/runbook.md"
_STOPPED = ("code-stopped", "webserver-stopped", "daemon-stopped")
_SECTIONS = dict.fromkeys(_STOPPED, "-".join(_STOPPED))
"""Alarms that share a section of the runbook."""

LINES_SHOWN = 20
PAYLOAD_SHOWN = 2_000
_RUNS = "{ runsOrError(limit: 10) { ... on Runs { results { runId jobName status startTime endTime } } } }"


def pipeline_of(wiring: "Wiring") -> Pipeline:
    from stock_pipeline.aws.cloud_watch import CloudWatch
    from stock_pipeline.commands.status import read_status
    from stock_pipeline.place import LOCAL, is_on_loopback
    from stock_pipeline.wiring import utc_now

    now = utc_now()
    status = read_status(wiring, now)
    settings = wiring.settings
    dagster = settings.dagster_url and settings.dagster_url.rstrip("/")
    watch = CloudWatch(wiring.clients.cloudwatch)
    hour = _if_told(lambda: watch.last_hour("processor", settings.environment, HOUR, now))
    topic = settings.alert_topic_arn
    alarms = _if_told(lambda: watch.alarms(topic)) if topic else None
    return Pipeline(
        environment=LOCAL if is_on_loopback(os.environ) else settings.environment,
        looked_at=now,
        stream=Finding(status.lag.fresh, status.lag.why),
        newest_trade=status.newest,
        dead_letters=DeadLetters(status.waiting, status.hidden, status.rejected, _newest_rejected(wiring, now.date())),
        published=status.published,
        backlog=[Backlog(*each) for each in status.backlog],
        broken=status.broken,
        stale=status.stale,
        shards=_if_told(wiring.stream.open_shards),
        processor=Processor(**{name: int(value) for name, value in hour.items()}) if hour else None,
        alarms=None if alarms is None else [Alarm(*each, runbook_section(each.name, settings)) for each in alarms],
        runs=_runs(dagster) if dagster else None,
        dagster=dagster,
    )


def runbook_section(alarm: str, settings: "Settings") -> str:
    """Return where the runbook tells of an alarm, which Terraform names after project and environment."""
    name = alarm.removeprefix(f"{settings.project_name}-{settings.environment}-")
    return f"{settings.runbook_url or RUNBOOK}#{_SECTIONS.get(name, name)}"


def _if_told(ask: Callable[[], T]) -> T | None:
    """Return an answer, or None where a reader may not ask: the rest is shown without it."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except (ClientError, BotoCoreError):
        return None


def _newest_rejected(wiring: "Wiring", today: date) -> list[RejectedLine]:
    import pyarrow.parquet as pq

    from stock_pipeline.domain.lake_layout import QUARANTINE_PREFIX, partition_path
    from stock_pipeline.lake.session_failures import SessionFailures

    newest = sorted(
        wiring.objects.list(QUARANTINE_PREFIX + partition_path(today)), key=lambda listed: listed.modified, reverse=True
    )
    columns = list(RejectedLine.__struct_fields__)
    found: list[RejectedLine] = []
    for listed in newest:
        if len(found) >= LINES_SHOWN:
            break
        # one that can't be read is named under `broken`
        with SessionFailures().of(listed.key):
            rows = pq.read_table(io.BytesIO(wiring.objects.get(listed.key)), columns=columns).to_pylist()
            found += [RejectedLine(**{**row, "payload": row["payload"][:PAYLOAD_SHOWN]}) for row in rows]
    return found[:LINES_SHOWN]


def _runs(dagster: str) -> list[Run] | None:
    """Ask Dagster's web server for its newest runs; None while it does not answer."""
    request = urllib.request.Request(
        f"{dagster}/graphql", json.dumps({"query": _RUNS}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            results = json.load(answer)["data"]["runsOrError"]["results"]
            return [_run(dagster, found) for found in results]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _run(dagster: str, found: Mapping[str, Any]) -> Run:
    started, ended = (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC)
        for seconds in (found["startTime"], found["endTime"])
    )
    return Run(found["jobName"], found["status"], started, ended, f"{dagster}/runs/{found['runId']}")


def actions_of(wiring: "Wiring") -> dict[str, list[Action]]:
    """Return what is known by now, by symbol and in the order of time."""
    from stock_pipeline.domain.corporate_action import known_actions
    from stock_pipeline.lake.corporate_actions import CorporateActionLog

    news = CorporateActionLog(wiring.objects).read()
    known = {action for source in {piece.source for piece in news} for action in known_actions(news, source)}
    found: dict[str, list[Action]] = defaultdict(list)
    for action in sorted(known, key=lambda each: (each.ex_date, each)):
        found[action.symbol].append(_shown(action))
    return dict(found)


def _shown(action: "CorporateAction") -> Action:
    return Action(
        kind=action.kind.value,
        ex_date=action.ex_date,
        shares_before=action.shares_before or None,
        shares_after=action.shares_after or None,
        cash_amount=action.cash_amount or None,
        new_symbol=action.new_symbol or None,
    )
