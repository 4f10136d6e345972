"""boto3's S3, SQS and DynamoDB clients in memory, as far as the project's adapters call them.

With them a test runs the real adapters, whose handling of errors is part of what it proves. The contract tests hold
them to an emulator; limits that the emulator does not keep are those of the services' API references.
"""

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from tests.fakes.faults import client_error

SQS_CALL_BYTES = 256 * 1024
SQS_CALL_ENTRIES = 10
DYNAMODB_KEYS_PER_READ = 100
S3_KEYS_PER_DELETE = 1000

LAST_MODIFIED = datetime(2018, 1, 2, 22, tzinfo=UTC)


class FakeS3Client:
    """One bucket; its name is not looked at."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self._parts: list[list[bytes]] = []

    def put_object(
        self, *, Bucket: str, Key: str, Body: Any, IfNoneMatch: str = "", IfMatch: str = "", **_: Any
    ) -> dict[str, Any]:
        if IfMatch and Key not in self.objects:
            raise client_error("PutObject", "NoSuchKey", 404)
        if (IfNoneMatch == "*" and Key in self.objects) or (IfMatch and not self._matches(Key, IfMatch)):
            raise client_error("PutObject", "PreconditionFailed", 412)
        self.objects[Key] = Body if isinstance(Body, bytes) else Body.read()
        return {"ETag": _etag(self.objects[Key])}

    def get_object(self, *, Bucket: str, Key: str, IfMatch: str = "", Range: str = "") -> dict[str, Any]:
        if Key not in self.objects:
            raise client_error("GetObject", "NoSuchKey", 404)
        if IfMatch and not self._matches(Key, IfMatch):
            raise client_error("GetObject", "PreconditionFailed", 412)
        if Range:
            if not self.objects[Key]:
                raise client_error("GetObject", "InvalidRange", 416)
            return {"Body": io.BytesIO(self.objects[Key][int(Range.removeprefix("bytes=")) :])}
        return {"Body": io.BytesIO(self.objects[Key]), "ETag": _etag(self.objects[Key])}

    def put_object_tagging(self, *, Bucket: str, Key: str, Tagging: dict[str, Any]) -> None:
        if Key not in self.objects:
            raise client_error("PutObjectTagging", "NoSuchKey", 404)
        self.tags[Key] = {tag["Key"]: tag["Value"] for tag in Tagging["TagSet"]}

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        if not 1 <= len(Delete["Objects"]) <= S3_KEYS_PER_DELETE:
            raise client_error("DeleteObjects", "MalformedXML")
        for entry in Delete["Objects"]:
            self.objects.pop(entry["Key"], None)
        return {}

    def create_multipart_upload(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self._parts.append([])
        return {"UploadId": str(len(self._parts) - 1)}

    def upload_part(self, *, Bucket: str, Key: str, UploadId: str, PartNumber: int, Body: bytes) -> dict[str, Any]:
        parts = self._parts[int(UploadId)]
        assert PartNumber == len(parts) + 1, "the project sends parts in order"
        parts.append(Body)
        return {"ETag": _etag(Body)}

    def complete_multipart_upload(
        self, *, Bucket: str, Key: str, UploadId: str, MultipartUpload: dict[str, Any], IfNoneMatch: str
    ) -> dict[str, Any]:
        parts = self._parts[int(UploadId)]
        if [part["ETag"] for part in MultipartUpload["Parts"]] != [_etag(part) for part in parts]:
            raise client_error("CompleteMultipartUpload", "InvalidPart")
        return self.put_object(Bucket=Bucket, Key=Key, Body=b"".join(parts), IfNoneMatch=IfNoneMatch)

    def abort_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str) -> None:
        self._parts[int(UploadId)] = []

    def _matches(self, key: str, etag: str) -> bool:
        return _etag(self.objects[key]).strip('"') == etag.strip('"')

    def get_paginator(self, operation: str) -> "FakeListing":
        assert operation == "list_objects_v2"
        return FakeListing(self.objects)


class FakeListing:
    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        entries = [
            {"Key": key, "Size": len(body), "ETag": _etag(body), "LastModified": LAST_MODIFIED}
            for key, body in sorted(self._objects.items())
            if key.startswith(Prefix)
        ]
        yield {"Contents": entries} if entries else {}


class FakeSqsClient:
    """One queue, from which nothing is taken away. `bodies` are its messages."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, Any]:
        _check_message(MessageBody)
        self.bodies.append(MessageBody)
        return {"MessageId": str(len(self.bodies))}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if not 1 <= len(Entries) <= SQS_CALL_ENTRIES:
            raise client_error("SendMessageBatch", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
        if sum(len(entry["MessageBody"].encode()) for entry in Entries) > SQS_CALL_BYTES:
            raise client_error("SendMessageBatch", "AWS.SimpleQueueService.BatchRequestTooLong")
        for entry in Entries:
            _check_message(entry["MessageBody"])
        self.bodies += [entry["MessageBody"] for entry in Entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.bodies))}}


class FakeDynamoDbClient:
    """One table of items by symbol and feed, with the two conditions that the project writes under."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}

    def put_item(
        self,
        *,
        TableName: str,
        Item: dict[str, Any],
        ConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        stored = self.items.get(_item_key(Item))
        match ConditionExpression, ExpressionAttributeValues:
            case "attribute_not_exists(symbol)", None:
                holds = stored is None
            case "revision = :stored", {":stored": revision}:
                holds = stored is not None and stored["revision"] == revision
            case _:
                raise client_error("PutItem", "ValidationException")
        if not holds:
            raise client_error("PutItem", "ConditionalCheckFailedException")
        self.items[_item_key(Item)] = dict(Item)
        return {}

    def batch_get_item(self, *, RequestItems: dict[str, dict[str, Any]]) -> dict[str, Any]:
        ((table, request),) = RequestItems.items()
        keys = [_item_key(key) for key in request["Keys"]]
        if not 1 <= len(keys) <= DYNAMODB_KEYS_PER_READ or len(set(keys)) < len(keys):
            raise client_error("BatchGetItem", "ValidationException")
        names = request["ProjectionExpression"].split(", ")
        found = [self.items[key] for key in keys if key in self.items]
        return {
            "Responses": {table: [{name: item[name] for name in names if name in item} for item in found]},
            "UnprocessedKeys": {},
        }


def _item_key(item: dict[str, Any]) -> tuple[str, str]:
    return item["symbol"]["S"], item["feed"]["S"]


def _etag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


_UNSENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _check_message(body: str) -> None:
    """What a message may consist of: tab, line ends, and U+0020 to U+10FFFF without surrogates, U+FFFE and U+FFFF."""
    if _UNSENDABLE.search(body):
        raise client_error("SendMessageBatch", "InvalidMessageContents")
