"""Redrive as Dagster runs it, on AWS services on loopback: the sensor, the job, and what follows in the lake."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.lambda_functions import processor_poller
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration import raw_file_sensor
from stock_pipeline.orchestration.redrive_job import REDRIVE_JOB, look, redrive_definitions
from stock_pipeline.orchestration.resources import LakeResource, RedriveResource
from stock_pipeline.redrive.ledger import Try
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.redrive_world import rejected
from tests.support.trades import trade, trade_on

pytestmark = pytest.mark.xdist_group("lake")

NOON = 1_700_000_000


@pytest.fixture
def redrive(stack: LocalStack) -> Iterator[RedriveResource]:
    resource = RedriveResource(environ=stack.settings.environ())
    with dg.build_resources({"redrive": resource}) as resources:
        yield resources.redrive


def send(stack: LocalStack, *bodies: bytes) -> None:
    for body in bodies:
        url = stack.settings.require_dead_letter_queue_url()
        stack.clients.sqs.send_message(QueueUrl=url, MessageBody=body.decode())


def calls_of(redrive: RedriveResource) -> list[str]:
    """Return a list that gets the names of the resource's AWS calls from now on."""
    made: list[str] = []
    clients = redrive.wiring.clients
    for client in (clients.sqs, clients.s3, clients.kinesis):
        client.meta.events.register("before-call", lambda model, **_: made.append(model.name))
    return made


def run_job(stack: LocalStack, **config: Any) -> dict[str, Any]:
    job = redrive_definitions(stack.settings).resolve_job_def(REDRIVE_JOB)
    result = job.execute_in_process(run_config={"ops": {"redrive_messages": {"config": config}}})
    (output,) = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def test_an_empty_tick_is_one_call(redrive: RedriveResource) -> None:
    made = calls_of(redrive)
    result = look(redrive, None, NOON)
    assert made == ["GetQueueAttributes"]
    assert not result.run_requests


def test_a_tick_that_died_before_its_cursor_repeats_its_request(stack: LocalStack, redrive: RedriveResource) -> None:
    send(stack, rejected(b"not json"))
    first = look(redrive, None, NOON)
    again = look(redrive, None, NOON + 60)
    (request,), (repeated,) = first.run_requests or [], again.run_requests or []
    assert request.run_key == repeated.run_key
    assert request.tags["attempt"] == "1"
    assert not look(redrive, first.cursor, NOON + 60).run_requests
    (second,) = look(redrive, first.cursor, NOON + 300).run_requests or []
    assert second.run_key != request.run_key
    assert second.tags["attempt"] == "2"


def test_a_reset_cursor_asks_under_a_new_key_after_one_pause(stack: LocalStack, redrive: RedriveResource) -> None:
    send(stack, rejected(b"not json"))
    cursor, keys = None, []
    for reset in (False, True):
        cursor = None if reset else cursor
        for tick in range(7):
            result = look(redrive, cursor, NOON + 3600 * reset + 60 * tick)
            keys += [request.run_key for request in result.run_requests or []]
            cursor = result.cursor
    assert len(keys) == 4
    assert len(set(keys)) == 3  # Dagster starts a key once; the last one is new


def test_messages_that_rest_after_a_try_ask_for_no_run(stack: LocalStack, redrive: RedriveResource) -> None:
    send(stack, rejected(b"not json"))
    assert run_job(stack)["left"] == 1
    assert not look(redrive, None, NOON).run_requests


def test_a_hopeless_message_is_parked_by_its_fifth_run(stack: LocalStack, redrive: RedriveResource) -> None:
    send(stack, rejected(b"not json"))
    look_at = redrive.redrive("look", 1)
    (received,) = look_at.queue.receive(10)
    received.put_back()
    tries = [Try(f"2018-01-0{day}", f"run-{day}", "left", "the line is still no trade", 0, 0) for day in range(1, 5)]
    look_at.ledger.write(received.message.message_id, tries)
    assert run_job(stack)["parked"] == 1
    assert redrive.depth().total == 0
    assert not look(redrive, None, NOON).run_requests


def metrics_of(output: str) -> dict[str, int]:
    """Read messages by outcome from a run's output, as CloudWatch does."""
    lines = [json.loads(line) for line in output.splitlines() if "RedrivenMessages" in line]
    return {line["Outcome"]: line["RedrivenMessages"] for line in lines}


def test_the_job_runs_the_real_redrive_and_shows_its_report(
    stack: LocalStack, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [encode_trade(trade(number)) for number in range(3)]
    send(stack, rejected(lines[0]), rejected(lines[1], reason=Reason.VALUE), rejected(b"not json"))
    capfd.readouterr()
    shown = run_job(stack, dry_run=True)
    assert "RedrivenMessages" not in capfd.readouterr().out
    assert (shown["messages"], shown["published"], shown["dry_run"]) == (3, 2, True)
    shown = run_job(stack, reason="value")
    assert (shown["messages"], shown["published"], shown["lines"]) == (1, 1, 1)
    capfd.readouterr()
    shown = run_job(stack)
    assert (shown["messages"], shown["published"], shown["left"]) == (2, 1, 1)
    assert metrics_of(capfd.readouterr().out) == {"published": 1, "left": 1}
    assert [outcome["why"] for outcome in shown["outcomes"] if outcome["action"] == "left"] == [
        "the line is still no trade"
    ]
    ledger = stack.clients.s3.list_objects_v2(Bucket=stack.settings.bucket_name, Prefix="redrive/")
    assert ledger["KeyCount"] == 3


def late_files(lake: LakeResource) -> Sequence[dg.RunRequest]:
    """What a tick of today asks for: these sessions are years old."""
    told: list[str] = []
    found = raw_file_sensor.look(lake, raw_file_sensor.Position(), datetime.now(UTC), told.append)
    assert told == []
    return found.run_requests or []


def test_redriven_trades_reopen_exactly_their_session(stack: LocalStack, redrive: RedriveResource) -> None:
    settings = stack.settings
    sessions = [date(2018, 1, 2), date(2018, 1, 3), date(2018, 1, 4)]
    kinesis = stack.clients.kinesis
    for number, day in enumerate(sessions):
        line = encode_trade(trade_on(day, number))
        kinesis.put_record(StreamName=settings.stream_name, PartitionKey="bucket-0001", Data=line)
    poller = processor_poller(stack, SilentObserver())
    poller.run_until_idle(timeout_seconds=60)
    lake = LakeResource(environ=settings.environ())
    with dg.build_resources({"lake": lake}) as resources:
        for day in sessions:
            resources.lake.compactor().compact(day)
        assert not late_files(resources.lake)

        late = trade_on(sessions[1], 9)
        send(stack, rejected(encode_trade(late)))
        assert run_job(stack)["published"] == 1
        poller.run_until_idle(timeout_seconds=60)
        requests = late_files(resources.lake)
        assert [(request.partition_key, request.tags["reason"]) for request in requests] == [
            ("2018-01-03", "late files")
        ]
        report = resources.lake.compactor().compact(sessions[1])
        assert (report.rows_out, report.published) == (2, True)


def test_sensor_and_schedule_run_as_dagster_runs_them(stack: LocalStack, redrive: RedriveResource) -> None:
    send(stack, rejected(encode_trade(trade(1))))
    definitions = redrive_definitions(stack.settings)
    sensor = definitions.resolve_sensor_def("dead_letters")
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, definitions=definitions, resources={"redrive": redrive}) as context,
    ):
        result = sensor.evaluate_tick(context)
    (request,) = result.run_requests or []
    assert json.loads(result.cursor or "")["attempt"] == 1
    job = definitions.resolve_job_def(REDRIVE_JOB)
    assert dg.validate_run_config(job, request.run_config)
    assert definitions.resolve_schedule_def("daily_redrive").job_name == REDRIVE_JOB


def test_without_a_queue_the_sensor_says_so() -> None:
    with dg.build_resources({"redrive": RedriveResource(environ=Settings.from_env({}).environ())}) as resources:
        result = look(resources.redrive, None, NOON)
    assert "DEAD_LETTER_QUEUE_URL is not set" in str(result.skip_reason)
