"""People hear of failed runs and ticks: through SNS where there is a topic, in the log where there is none."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from stock_pipeline.definitions import build_definitions
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.alerts import RUNS, SESSIONS, AlertResource, alert_definitions, run_failures
from stock_pipeline.orchestration.freshness import BUILT, CURRENT, PUBLISHED
from stock_pipeline.settings import Settings


@pytest.fixture
def inbox(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, str]]]:
    """What arrived at a queue that listens to the topic; `ALERT_TOPIC_ARN` names it."""
    arn = stack.clients.sns.create_topic(Name="alarms")["TopicArn"]
    url = stack.clients.sqs.create_queue(QueueName="inbox")["QueueUrl"]
    attributes = stack.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    stack.clients.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=attributes["QueueArn"])
    monkeypatch.setenv("ALERT_TOPIC_ARN", arn)

    def arrived() -> list[dict[str, str]]:
        messages = stack.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return arrived


def settings_with_topic(stack: LocalStack) -> Settings:
    return Settings.from_env({**stack.environ, "ALERT_TOPIC_ARN": os.environ["ALERT_TOPIC_ARN"]})


@dg.op
def break_down() -> None:
    raise ValueError("the disk\nis full — really")


@dg.job(name="doomed")
def doomed() -> None:
    break_down()


def fail_and_tell(settings: Settings) -> None:
    sensor = run_failures(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        result = doomed.execute_in_process(
            instance=instance, raise_on_error=False, tags={"dagster/partition": "2018-01-02"}
        )
        resource = AlertResource(aws_region=settings.aws_region, topic_arn=settings.alert_topic_arn or "")
        with dg.build_resources({"alerts": resource}) as resources:
            context = dg.build_run_status_sensor_context(
                sensor_name="run_failures",
                dagster_instance=instance,
                dagster_run=result.dagster_run,
                dagster_event=result.get_run_failure_event(),
                resources={"alerts": resources.alerts},
            ).for_run_failure()
            sensor(context)


def test_the_message_of_a_failed_run_names_job_and_session(
    stack: LocalStack, inbox: Callable[[], list[dict[str, str]]]
) -> None:
    fail_and_tell(settings_with_topic(stack))
    (message,) = inbox()
    assert message["Subject"] == "dev: run of doomed failed for 2018-01-02"
    assert "break_down" in message["Message"]


def test_an_alert_leads_to_its_run_and_to_what_to_do() -> None:
    settings = Settings.from_env(
        {"DAGSTER_URL": "https://dagster.example.com/", "RUNBOOK_URL": "https://git.example.com/docs/runbook.md"}
    )
    resource = (alert_definitions(settings).resources or {})["alerts"]
    assert resource.links("runs-and-ticks", "abc").splitlines() == [
        "Run: https://dagster.example.com/runs/abc",
        "What to do: https://git.example.com/docs/runbook.md#runs-and-ticks",
    ]
    assert AlertResource(aws_region="us-east-1", topic_arn="").links("x", None) == "What to do: docs/runbook.md#x"


def test_every_section_that_an_alert_names_is_in_the_runbook() -> None:
    root = Path(__file__).parents[2]
    headings = re.findall(r"^#+ (.+)$", (root / "docs/runbook.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {RUNS, SESSIONS, *(check.name for check in (PUBLISHED, BUILT, CURRENT))} <= anchors


def test_without_a_topic_a_failed_run_is_a_log_line(capfd: pytest.CaptureFixture[str]) -> None:
    fail_and_tell(Settings.from_env({}))
    assert "ERROR - dev: run of doomed failed for 2018-01-02" in capfd.readouterr().err


def store_tick(instance: dg.DagsterInstance, name: str, at: float, status: TickStatus) -> None:
    target = LoadableTargetOrigin(module_name="stock_pipeline.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, "stock_pipeline")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    if instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id()) is None:
        data = SensorInstigatorData()
        instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data))
    error = SerializableErrorInfo("the bucket is gone\n", [], "ClientError") if status == TickStatus.FAILURE else None
    instance.create_tick(
        TickData(
            origin.get_id(), name, InstigatorType.SENSOR, status, at, error=error,
            selector_id=origin.get_selector().get_id(),
        )
    )  # fmt: skip


def test_failed_ticks_of_any_sensor_are_told_once_and_others_not(
    stack: LocalStack, inbox: Callable[[], list[dict[str, str]]]
) -> None:
    settings = settings_with_topic(stack)
    definitions = alert_definitions(settings)
    sensor = definitions.resolve_sensor_def("tick_failures")
    now = time.time()

    def tick(cursor: str | None) -> str:
        resource = AlertResource(aws_region="us-east-1", topic_arn=str(settings.alert_topic_arn))
        with (
            dg.build_resources({"alerts": resource}) as resources,
            dg.build_sensor_context(
                instance=instance, cursor=cursor, definitions=definitions, resources={"alerts": resources.alerts}
            ) as context,
        ):
            return str(sensor.evaluate_tick(context).cursor)

    with dg.DagsterInstance.local_temp() as instance:
        store_tick(instance, "raw_files", now - 3_600, TickStatus.FAILURE)  # long ago
        store_tick(instance, "raw_files", now - 20, TickStatus.FAILURE)
        store_tick(instance, "dead_letters", now - 10, TickStatus.FAILURE)
        store_tick(instance, "dead_letters", now - 5, TickStatus.SKIPPED)
        cursor = tick(None)
        told = inbox()
        assert sorted(message["Subject"] for message in told) == [
            "dev: a tick of dead_letters failed",
            "dev: a tick of raw_files failed",
        ]
        assert {message["Message"] for message in told} == {
            "the bucket is gone\n\nWhat to do: docs/runbook.md#runs-and-ticks"
        }
        cursor = tick(cursor)
        assert inbox() == []
        store_tick(instance, "raw_files", now - 1, TickStatus.FAILURE)
        tick(cursor)
        assert len(inbox()) == 1


def test_schedules_and_sensors_run_unasked_on_a_laptop_only() -> None:
    for target, running in (("local", True), ("athena", False)):
        definitions = build_definitions(Settings.from_env({"DBT_TARGET": target}))
        repository = definitions.get_repository_def()
        sensors = [one for one in repository.sensor_defs if one.name != "default_automation_condition_sensor"]
        assert {one.name for one in sensors} >= {"raw_files", "dead_letters", "run_failures", "tick_failures"}
        assert {one.default_status == dg.DefaultSensorStatus.RUNNING for one in sensors} == {running}
        # a laptop has no key of the price API, which corporate actions are asked with
        schedules = [one for one in repository.schedule_defs if "corporate_actions" not in one.name]
        assert len(schedules) == len(repository.schedule_defs) - 1
        assert {one.default_status == dg.DefaultScheduleStatus.RUNNING for one in schedules} == {running}
