"""On-failure messages of batches that were given up, in AWS's form, to S3 or SQS.

S3 gets the whole event, SQS metadata only. Delivering a batch again writes the same object. `mapping` decides when to
give up.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote_plus
from uuid import UUID

from stock_pipeline.domain.lake_layout import FAILED_PREFIX
from stock_pipeline.local.event_source.mapping import Batch, Condition
from stock_pipeline.local.event_source.shard_record import EventSource, event_json, kinesis_event


class S3Client(Protocol):
    """Used part of boto3's S3 client."""

    @property
    def put_object(self) -> Any: ...


class SqsClient(Protocol):
    """Used part of boto3's SQS client."""

    @property
    def send_message(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """A batch that was given up, with all that its message says."""

    batch: Batch
    condition: Condition
    source: EventSource
    shard_id: str
    mapping_uuid: str
    function_arn: str
    request_id: str
    failed_at: datetime
    object_uuid: UUID


class FailureDestination(Protocol):
    """Where failed batches go."""

    def deliver(self, failed: FailedBatch) -> None:
        """Deliver the message or raise; after an error the poller tries again."""


def failure_metadata(failed: FailedBatch) -> dict[str, Any]:
    """Return the message for SQS."""
    first, last = failed.batch.records[0], failed.batch.records[-1]
    message: dict[str, Any] = {
        "requestContext": {
            "requestId": failed.request_id,
            "functionArn": failed.function_arn,
            "condition": failed.condition.value,
            "approximateInvokeCount": failed.batch.invocations,
        }
    }
    invocation = failed.batch.last_invocation
    if failed.condition is Condition.RETRY_ATTEMPTS_EXHAUSTED and invocation is not None:
        message["responseContext"] = {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": invocation.function_error,
        }
    message["version"] = "1.0"
    message["timestamp"] = aws_timestamp(failed.failed_at)
    message["KinesisBatchInfo"] = {
        "shardId": failed.shard_id,
        "startSequenceNumber": first.sequence_number,
        "endSequenceNumber": last.sequence_number,
        "approximateArrivalOfFirstRecord": aws_timestamp(first.arrived_at),
        "approximateArrivalOfLastRecord": aws_timestamp(last.arrived_at),
        "batchSize": len(failed.batch.records),
        "streamArn": failed.source.stream_arn,
    }
    return message


def failure_object(failed: FailedBatch) -> dict[str, Any]:
    """Return the message for S3: the metadata, and the event as a JSON string."""
    event = kinesis_event(failed.source, failed.shard_id, failed.batch.records)
    return failure_metadata(failed) | {"payload": event_json(event)}


def failure_object_key(failed: FailedBatch, prefix: str = FAILED_PREFIX) -> str:
    at = failed.failed_at
    return (
        f"{prefix}aws/lambda/{failed.mapping_uuid}/{failed.shard_id}/{at:%Y/%m/%d}/"
        f"{at:%Y-%m-%dT%H.%M.%S}-{failed.object_uuid}"
    )


def object_created_event(bucket: str, key: str, size: int, etag: str, region: str, at: datetime) -> dict[str, Any]:
    """Return the event that S3 sends for a new object."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": region,
                "eventTime": aws_timestamp(at),
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "local"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"x-amz-request-id": "local", "x-amz-id-2": "local"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "failed",
                    "bucket": {
                        "name": bucket,
                        "ownerIdentity": {"principalId": "local"},
                        "arn": f"arn:aws:s3:::{bucket}",
                    },
                    # S3 encodes keys in events as in a URL's query.
                    "object": {
                        "key": quote_plus(key, safe="/"),
                        "size": size,
                        "eTag": etag,
                        "sequencer": f"{int(at.timestamp() * 1000):018X}",
                    },
                },
            }
        ]
    }


@dataclass(frozen=True, slots=True)
class SqsFailureDestination:
    """An SQS queue as destination."""

    sqs: SqsClient
    queue_url: str

    def deliver(self, failed: FailedBatch) -> None:
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(failure_metadata(failed)))


@dataclass(frozen=True, slots=True)
class S3FailureDestination:
    """A bucket as destination, with a queue that hears of new objects.

    It sends these notifications itself, because the emulator sends none.
    """

    s3: S3Client
    bucket: str
    sqs: SqsClient
    queue_url: str
    prefix: str = FAILED_PREFIX

    def deliver(self, failed: FailedBatch) -> None:
        key = failure_object_key(failed, self.prefix)
        body = json.dumps(failure_object(failed)).encode()
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json")
        event = object_created_event(
            self.bucket, key, len(body), answer["ETag"].strip('"'), failed.source.region, failed.failed_at
        )
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(event))


def aws_timestamp(at: datetime) -> str:
    """Return text like `2019-11-14T00:38:06.021Z`."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
