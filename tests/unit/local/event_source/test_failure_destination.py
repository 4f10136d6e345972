"""On-failure messages, compared with what AWS documents and sends."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from stock_pipeline.local.event_source.failure_destination import (
    FailedBatch,
    S3FailureDestination,
    SqsFailureDestination,
    failure_metadata,
    failure_object,
    failure_object_key,
    object_created_event,
)
from stock_pipeline.local.event_source.function_runtime import Invocation
from stock_pipeline.local.event_source.mapping import Batch, Condition
from stock_pipeline.local.event_source.shard_record import EventSource, ShardRecord, kinesis_event

RECORDED = Path(__file__).parents[4] / "tests/data/aws_events"
SOURCE = EventSource("arn:aws:kinesis:us-east-2:123456789012:stream/mystream", "arn:aws:iam::1:role/r")


def recorded(name: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads((RECORDED / name).read_text())
    return message


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def documented_failure() -> FailedBatch:
    """Return the batch of the documentation's example, with two of its 500 records."""
    records = (
        ShardRecord(
            "49601189658422359378836298521827638475320189012309704722",
            "AAPL",
            b"a",
            time("2019-11-14T00:38:04.835+00:00"),
            1,
        ),
        ShardRecord(
            "49601189658422359378836298522902373528957594348623495186",
            "AAPL",
            b"b",
            time("2019-11-14T00:38:05.580+00:00"),
            1,
        ),
    )
    return FailedBatch(
        batch=Batch(records, 0, 1, Invocation("c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5", None, "Unhandled")),
        condition=Condition.RETRY_ATTEMPTS_EXHAUSTED,
        source=SOURCE,
        shard_id="shardId-000000000001",
        mapping_uuid="a0b1c2d3",
        function_arn="arn:aws:lambda:us-east-2:123456789012:function:myfunction",
        request_id="c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
        failed_at=time("2019-11-14T00:38:06.021+00:00"),
        object_uuid=UUID(int=7),
    )


def form(value: Any) -> Any:
    """Return keys in their order, and the kinds of values."""
    if isinstance(value, dict):
        return [(key, form(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [form(each) for each in value]
    return type(value)


def test_the_message_to_sqs_is_the_documented_one() -> None:
    expected = recorded("docs_kinesis_on_failure_sqs.json")
    expected["KinesisBatchInfo"]["batchSize"] = 2
    message = failure_metadata(documented_failure())
    assert message == expected
    assert list(message) == list(expected)


def test_the_object_in_s3_is_the_documented_one() -> None:
    failed = documented_failure()
    expected = recorded("docs_kinesis_on_failure_s3.json")
    expected["KinesisBatchInfo"]["batchSize"] = 2
    written = failure_object(failed)
    payload = written["payload"]
    assert written | {"payload": "<Whole Event>"} == expected
    assert isinstance(payload, str)
    assert json.loads(payload) == kinesis_event(SOURCE, failed.shard_id, failed.batch.records)


def test_a_failure_by_error_has_the_form_that_aws_sent() -> None:
    assert form(failure_metadata(documented_failure())) == form(recorded("recorded_on_failure_sqs.json"))


def test_a_failure_by_age_has_no_response_context() -> None:
    failed = replace(documented_failure(), condition=Condition.RECORD_AGE_EXCEEDED)
    message = failure_metadata(failed)
    assert form(message) == form(recorded("recorded_record_age_exceeded.json"))
    assert message["requestContext"]["condition"] == "RecordAgeExceeded"


def test_the_function_error_is_null_after_partial_responses() -> None:
    failed = documented_failure()
    partial = replace(failed, batch=replace(failed.batch, last_invocation=Invocation("id", {"batchItemFailures": []})))
    assert failure_metadata(partial)["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": None,
    }


@pytest.mark.parametrize("prefix", ["failed/", "", "elsewhere/"])
def test_the_object_key_is_the_documented_one_below_the_prefix(prefix: str) -> None:
    assert failure_object_key(documented_failure(), prefix) == (
        f"{prefix}aws/lambda/a0b1c2d3/shardId-000000000001/2019/11/14/"
        "2019-11-14T00.38.06-00000000-0000-0000-0000-000000000007"
    )


def test_the_notification_has_the_form_that_s3_sends() -> None:
    event = object_created_event("lake", "failed/a b+c", 12, "etag", "us-east-1", time("2026-11-20T15:00:00.021+00:00"))
    expected = recorded("s3_object_created.json")
    # only in versioned buckets
    del expected["Records"][0]["s3"]["object"]["versionId"]
    assert form(event) == form(expected)
    assert event["Records"][0]["s3"]["object"]["key"] == "failed/a+b%2Bc"
    assert event["Records"][0]["s3"]["bucket"]["arn"] == "arn:aws:s3:::lake"
    assert event["Records"][0]["eventTime"] == "2026-11-20T15:00:00.021Z"


@dataclass
class FakeServices:
    """S3 and SQS in one. The next `failing_sends` messages fail."""

    objects: dict[str, bytes] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    failing_sends: int = 0

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> dict[str, str]:
        self.objects[Key] = Body
        return {"ETag": '"0123"'}

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, str]:
        if self.failing_sends:
            self.failing_sends -= 1
            raise ConnectionError("queue")
        self.messages.append(json.loads(MessageBody))
        return {}


def test_the_sqs_destination_sends_metadata_without_payload() -> None:
    services = FakeServices()
    SqsFailureDestination(services, "http://queue").deliver(documented_failure())
    assert services.messages == [failure_metadata(documented_failure())]


def test_the_s3_destination_stores_the_payload_and_notifies() -> None:
    services = FakeServices()
    S3FailureDestination(services, "lake", services, "http://queue").deliver(documented_failure())
    ((key, body),) = services.objects.items()
    (message,) = services.messages
    assert key.startswith("failed/aws/lambda/")
    assert json.loads(body) == failure_object(documented_failure())
    assert message["Records"][0]["s3"]["object"]["key"] == key
    assert message["Records"][0]["s3"]["object"]["size"] == len(body)
    assert message["Records"][0]["s3"]["object"]["eTag"] == "0123"


def test_delivering_again_writes_the_same_object() -> None:
    services = FakeServices(failing_sends=1)
    destination = S3FailureDestination(services, "lake", services, "http://queue")
    with pytest.raises(ConnectionError):
        destination.deliver(documented_failure())
    destination.deliver(documented_failure())
    assert len(services.objects) == len(services.messages) == 1
