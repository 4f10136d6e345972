"""The lake in Dagster: its jobs, ticks and schedules, evaluated as Dagster does, and one session of it broken."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError

from stock_pipeline.domain.lake_layout import (
    partition_path,
    reopened_key,
)
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.alerts import alert_definitions
from stock_pipeline.orchestration.lake_assets import lake_definitions
from stock_pipeline.orchestration.raw_file_sensor import Position, look
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.settings import Settings
from tests.support.broken_sessions import TROUBLES, lose_head
from tests.support.raw_files import put_raw_file

FIRST = date(2018, 1, 2)
TODAY = date(2018, 1, 9)
BROKEN = date(2018, 1, 4)


@contextmanager
def opened_lake(stack: LocalStack) -> Iterator[LakeResource]:
    """Yield the resource as a run has it, on the stack's services."""
    with dg.build_resources({"lake": LakeResource(environ=stack.settings.environ())}) as resources:
        yield resources.lake


def job(lake: LakeResource, name: str) -> dg.JobDefinition:
    settings = Settings.from_env(lake.environ)
    # the sensor and the schedules name a job that the models' side completes
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    return dg.Definitions.merge(lake_definitions(settings), session).resolve_job_def(name)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


def tick(
    lake: LakeResource,
    cursor: str | None = None,
    today: date = TODAY,
    told: list[str] | None = None,
    closed: bool = False,
) -> dg.SensorResult:
    heard = [] if told is None else told
    return look(lake, Position.from_json(cursor), noon(today), heard.append, closed)


def reopen(lake: LakeResource, days: Iterable[date]) -> None:
    for day in days:
        lake.objects.put(reopened_key(day), b"")


def sweep(lake: LakeResource, today: date = TODAY) -> list[date]:
    return list(lake.sweep().run(raw_folders(lake.objects), today))


def requests(result: dg.SensorResult) -> list[tuple[str | None, str]]:
    return [(request.partition_key, request.tags["reason"]) for request in result.run_requests or []]


def refuse(lake: LakeResource, session_date: date) -> None:
    """Let S3 refuse whatever concerns the session's folders."""

    def answer(model: Any, params: Any, **_: Any) -> None:
        if partition_path(session_date) in f"{params['url_path']} {params['query_string'].get('prefix')}":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, model.name)

    lake.objects.client.meta.events.register("before-call.s3", answer)


def lose_head_of_collected_session(lake: LakeResource) -> None:
    list(lake.garbage_collector(timedelta(0)).collect())
    lose_head(lake.objects, BROKEN)
    put_raw_file(lake.objects, BROKEN, 2)


def break_session(lake: LakeResource, trouble: str) -> None:
    if trouble == "refused folder":
        refuse(lake, BROKEN)
    elif trouble == "lost head":
        lose_head_of_collected_session(lake)
    else:
        TROUBLES[trouble](lake.objects, BROKEN)


every_trouble = pytest.mark.parametrize("trouble", ["lost head", "refused folder", *TROUBLES])


def evaluated(lake: LakeResource, name: str) -> dg.SensorResult:
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    settings = Settings.from_env(lake.environ)
    definitions = dg.Definitions.merge(lake_definitions(settings), alert_definitions(settings), session)
    with (
        dg.build_resources({"alerts": (definitions.resources or {})["alerts"]}) as resources,
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(
            instance=instance, definitions=definitions, resources={"lake": lake, "alerts": resources.alerts}
        ) as context,
    ):
        result: dg.SensorResult = definitions.resolve_sensor_def(name).evaluate_tick(context)
    return result


def scheduled(lake: LakeResource, name: str, at: str, **changed: str) -> dg.SensorResult | Any:
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    settings = Settings.from_env({**lake.environ, **changed})
    definitions = dg.Definitions.merge(lake_definitions(settings), session)
    with dg.build_schedule_context(
        scheduled_execution_time=datetime.fromisoformat(at),
        repository_def=definitions.get_repository_def(),
        resources={"lake": lake},
    ) as context:
        return definitions.resolve_schedule_def(name).evaluate_tick(context)
