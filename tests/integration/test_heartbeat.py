"""Dagster's heartbeat: a line a minute, and what is switched off."""

import json
from collections.abc import Sequence

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus

from stock_pipeline.definitions import build_definitions
from stock_pipeline.settings import Settings
from tests.support.alarms import firing


def beat(target: str, capfd: pytest.CaptureFixture[str], switched: Sequence[tuple[str, InstigatorStatus]] = ()) -> str:
    definitions = build_definitions(Settings.from_env({"ENVIRONMENT": "prod", "DBT_TARGET": target}))
    repository = definitions.get_repository_def()
    sensor = definitions.resolve_sensor_def("heartbeat")
    with dg.DagsterInstance.local_temp() as instance:
        for name, status in switched:
            switch(instance, name, status)
        with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
            sensor.evaluate_tick(context)
    (line,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    return line


def switch(instance: dg.DagsterInstance, name: str, status: InstigatorStatus) -> None:
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorType, SensorInstigatorData
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    target = LoadableTargetOrigin(module_name="stock_pipeline.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, "stock_pipeline")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData()))


def test_in_an_account_everything_is_off_until_somebody_switches_it_on(capfd: pytest.CaptureFixture[str]) -> None:
    line = beat("athena", capfd)
    off = json.loads(line)["switched_off"]
    assert {"raw_files", "dead_letters", "freshness", "after_the_close", "run_failures"} <= set(off)
    assert "nightly_iceberg_upkeep" not in off
    assert firing([[line]] * 3, "prod") == {"switched-off", "session-overdue"}
    assert (
        "raw_files" not in json.loads(beat("athena", capfd, [("raw_files", InstigatorStatus.RUNNING)]))["switched_off"]
    )


def test_what_is_switched_off_on_a_laptop_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    line = beat("local", capfd)
    assert json.loads(line)["switched_off"] == []
    assert firing([[line]] * 3, "prod") == {"session-overdue"}
    assert json.loads(beat("local", capfd, [("raw_files", InstigatorStatus.STOPPED)]))["switched_off"] == ["raw_files"]
