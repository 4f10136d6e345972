"""The poller with boto3's clients on a real emulator, and the fake stream compared with the same emulator."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import unquote_plus

import boto3
import pytest

from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.local.event_source.failure_destination import (
    FailureDestination,
    S3FailureDestination,
    SqsFailureDestination,
)
from stock_pipeline.local.event_source.function_runtime import LocalFunction
from stock_pipeline.local.event_source.machine import Machine
from stock_pipeline.local.event_source.poller import EventSourcePoller, mapping_uuid
from stock_pipeline.local.event_source.shard_consumer import PollerWiring
from stock_pipeline.local.event_source.shard_record import EventSource
from tests.fakes.kinesis import STREAM_ARN, FakeKinesis
from tests.support.processes import read_line
from tests.support.stream_batches import FUNCTION_ARN, MAPPING

BUCKET = "stock-historical-data-dev"

pytestmark = pytest.mark.xdist_group("moto-event-source-poller")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Yield the address of an emulator in a process of its own, which ends with the test's side of the pipe."""
    command = [sys.executable, "-m", "stock_pipeline.local.moto_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield read_line(server)
        server.communicate()


@pytest.fixture(scope="module")
def client(endpoint: str) -> Any:
    session: Any = boto3.Session("test", "test", region_name="us-east-1")
    return partial(session.client, endpoint_url=endpoint)


@pytest.fixture(scope="module")
def stream_names() -> Iterator[int]:
    return count()


@pytest.fixture(params=["moto", "fake"])
def stream(request: pytest.FixtureRequest, stream_names: Iterator[int]) -> tuple[Any, str]:
    """Return a new stream of two shards, as client and ARN."""
    if request.param == "fake":
        return FakeKinesis(shards=2, now=Machine.real().now), STREAM_ARN
    return moto_stream(request.getfixturevalue("client"), next(stream_names))


def moto_stream(client: Any, number: int) -> tuple[Any, str]:
    kinesis = client("kinesis")
    name = f"stock-stream-{number}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    summary = kinesis.describe_stream_summary(StreamName=name)
    return kinesis, summary["StreamDescriptionSummary"]["StreamARN"]


@dataclass
class Kept:
    """A destination and a handler that keep what they get."""

    bad: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    def handle(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        self.events.append(event)
        failed = [record for record in event["Records"] if text_of(record) == self.bad]
        identifiers = [{"itemIdentifier": record["kinesis"]["sequenceNumber"]} for record in failed]
        return {"batchItemFailures": identifiers}

    @property
    def texts(self) -> list[str]:
        return [text_of(record) for event in self.events for record in event["Records"]]

    def deliver(self, failed: Any) -> None:
        raise AssertionError("nothing should fail here")


def text_of(record: dict[str, Any]) -> str:
    return base64.b64decode(record["kinesis"]["data"]).decode()


def put(stream: tuple[Any, str], texts: list[str]) -> None:
    kinesis, arn = stream
    records = [{"PartitionKey": text.split("-")[0], "Data": text.encode()} for text in texts]
    assert kinesis.put_records(StreamARN=arn, Records=records)["FailedRecordCount"] == 0


def poller(
    stream: tuple[Any, str],
    kept: Kept,
    destination: FailureDestination | None = None,
    checkpoints: dict[str, str] | None = None,
    later: timedelta = timedelta(0),
    **changes: Any,
) -> EventSourcePoller:
    here = Machine.real()
    return EventSourcePoller(
        PollerWiring(
            kinesis=stream[0],
            function=LocalFunction(kept.handle, FUNCTION_ARN),
            destination=destination or kept,
            mapping=replace(MAPPING, **changes),
            source=EventSource(stream[1], "arn:aws:iam::123456789012:role/lambda-role"),
            mapping_uuid=mapping_uuid(stream[1], FUNCTION_ARN),
            machine=replace(here, now=lambda: here.now() + later),
            checkpoints={} if checkpoints is None else checkpoints,
            back_off=BackOff(first_seconds=0.001, longest_seconds=0.001, certain_share=0.5),
        )
    )


# The same on the emulator and on the fake


def test_every_record_arrives_in_the_order_of_its_key(stream: tuple[Any, str]) -> None:
    texts = [f"{'abcde'[number % 5]}-{number}" for number in range(250)]
    put(stream, texts)
    kept = Kept()
    counts = poller(stream, kept).run_until_idle(timeout_seconds=60)
    for key in "abcde":
        assert [t for t in kept.texts if t[0] == key] == [t for t in texts if t[0] == key]
    assert counts.records_delivered == len(kept.texts) == 250
    assert {event["Records"][0]["eventID"].split(":")[0] for event in kept.events} == {
        "shardId-000000000000",
        "shardId-000000000001",
    }


def test_a_restarted_poller_goes_on_at_its_checkpoint(stream: tuple[Any, str]) -> None:
    checkpoints: dict[str, str] = {}
    first, second = Kept(), Kept()
    put(stream, ["a-a", "b-b", "c-c"])
    poller(stream, first, checkpoints=checkpoints).run_until_idle(timeout_seconds=60)
    put(stream, ["a-d", "b-e", "c-f"])
    poller(stream, second, checkpoints=checkpoints).run_until_idle(timeout_seconds=60)
    assert sorted(first.texts) == ["a-a", "b-b", "c-c"]
    assert sorted(second.texts) == ["a-d", "b-e", "c-f"]


def test_latest_begins_after_what_is_there(stream: tuple[Any, str]) -> None:
    kept = Kept()
    put(stream, ["a-a", "b-b"])
    latest = poller(stream, kept, starting_position="LATEST")
    latest.run_until_idle(timeout_seconds=60)
    put(stream, ["a-c", "b-d"])
    latest.run_until_idle(timeout_seconds=60)
    assert sorted(kept.texts) == ["a-c", "b-d"]


def test_answers_have_the_same_keys_and_types(stream: tuple[Any, str]) -> None:
    kinesis, arn = stream
    put(stream, [f"{number}-x" for number in range(20)])
    shards = kinesis.list_shards(StreamARN=arn)["Shards"]
    assert [shard["ShardId"] for shard in shards] == ["shardId-000000000000", "shardId-000000000001"]
    shard = {"StreamName": arn.rsplit("/", 1)[1], "ShardId": shards[0]["ShardId"]}
    iterator = kinesis.get_shard_iterator(**shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    answer = kinesis.get_records(ShardIterator=iterator, Limit=1)
    (record,) = answer["Records"]
    assert answer["MillisBehindLatest"] >= 0
    assert answer["NextShardIterator"]
    kinds = {key: type(value) for key, value in record.items() if key != "EncryptionType"}
    assert kinds.pop("ApproximateArrivalTimestamp").__name__ == "datetime"
    assert kinds == {"SequenceNumber": str, "Data": bytes, "PartitionKey": str}


# Destinations, on the emulator


@pytest.fixture(scope="module")
def queue_url(client: Any) -> str:
    url: str = client("sqs").create_queue(QueueName="stock-pipeline-dev-dlq")["QueueUrl"]
    return url


def received(client: Any, queue_url: str) -> list[dict[str, Any]]:
    sqs = client("sqs")
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def test_the_queue_points_to_a_given_up_batch_in_the_bucket(
    client: Any, queue_url: str, stream_names: Iterator[int]
) -> None:
    stream, kept = moto_stream(client, next(stream_names)), Kept(bad="7-bad")
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    put(stream, ["7-good", "7-bad"])
    destination = S3FailureDestination(s3, BUCKET, client("sqs"), queue_url)
    counts = poller(stream, kept, destination).run_until_idle(timeout_seconds=60)

    assert counts.records_delivered == counts.records_sent_to_destination == 1
    (notification,) = received(client, queue_url)
    pointer = notification["Records"][0]["s3"]
    key = unquote_plus(pointer["object"]["key"])
    assert key.startswith(f"failed/aws/lambda/{mapping_uuid(stream[1], FUNCTION_ARN)}/shardId-")
    stored = s3.get_object(Bucket=pointer["bucket"]["name"], Key=key)
    body = stored["Body"].read()
    assert pointer["object"]["size"] == len(body)
    assert f'"{pointer["object"]["eTag"]}"' == stored["ETag"]
    failure = json.loads(body)
    assert failure["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert failure["responseContext"]["functionError"] is None
    (record,) = json.loads(failure["payload"])["Records"]
    assert text_of(record) == "7-bad"
    assert failure["KinesisBatchInfo"]["startSequenceNumber"] == record["kinesis"]["sequenceNumber"]


def test_records_that_are_too_old_leave_metadata_in_the_queue(
    client: Any, queue_url: str, stream_names: Iterator[int]
) -> None:
    stream, kept = moto_stream(client, next(stream_names)), Kept()
    put(stream, ["7-old", "7-older"])
    destination = SqsFailureDestination(client("sqs"), queue_url)
    poller(stream, kept, destination, later=timedelta(days=1)).run_until_idle(timeout_seconds=60)
    assert kept.events == []
    (message,) = received(client, queue_url)
    assert message["requestContext"]["condition"] == "RecordAgeExceeded"
    assert message["KinesisBatchInfo"]["batchSize"] == 2
    assert message["KinesisBatchInfo"]["streamArn"] == stream[1]
