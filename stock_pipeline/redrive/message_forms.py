"""Forms of the dead-letter queue's messages, and where each has its lines.

They are: a rejected line, unpublished records of the producer, the S3 notification of a failed batch, its metadata-only
message, and a provider's unreadable payload. What to do is decided in `domain.redrive_plan`.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from stock_pipeline.domain.redrive_plan import Inline, Origin, StoredObject, StreamRange, Unredrivable


def origin_of(body: str) -> Origin:
    """Return where a message's lines are; `Unredrivable` if it can't be understood. Never raises."""
    try:
        message = json.loads(body)
        if not isinstance(message, dict):
            return Unredrivable("the message is not a JSON object")
        return _origin(message)
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error) as error:
        return Unredrivable(f"the message can't be understood: {type(error).__name__}: {error}")


def reason_of(body: str) -> str | None:
    """Return why a line was rejected, if the message says so."""
    try:
        message = json.loads(body)
    except ValueError:
        return None
    if not isinstance(message, dict) or message.get("kind") != "rejected_record":
        return None
    reason = message.get("reason")
    return reason if isinstance(reason, str) else None


def _origin(message: Mapping[str, Any]) -> Origin:
    if "KinesisBatchInfo" in message:
        return _stream_range(message["KinesisBatchInfo"])
    if message.get("Event") == "s3:TestEvent":
        return Unredrivable("S3's test of the notification, which announces nothing")
    if "Records" in message:
        place = message["Records"][0]["s3"]
        return StoredObject(place["bucket"]["name"], unquote_plus(place["object"]["key"]))
    kind = message["kind"]
    if kind == "unreadable_payload":
        return Unredrivable("a provider's payload that could not be read: the provider's reader must learn it first")
    if "document" in message:
        bucket, _, key = str(message["document"]).removeprefix("s3://").partition("/")
        return StoredObject(bucket, key)
    if kind == "rejected_record":
        return Inline((base64.b64decode(message["payload_base64"], validate=True),))
    return Unredrivable(f"unknown kind of message: {kind!r}")


def _stream_range(batch: Mapping[str, Any]) -> StreamRange:
    return StreamRange(
        stream_arn=batch["streamArn"],
        shard_id=batch["shardId"],
        first_sequence=batch["startSequenceNumber"],
        last_sequence=batch["endSequenceNumber"],
        records=int(batch["batchSize"]),
    )


def lines_of_object(body: bytes) -> tuple[bytes, ...]:
    """Return the lines in an object that a message points to. Raises `ValueError` for an unknown form.

    Known are a failed batch (the whole invocation event), unpublished records, and a rejected line too large for a
    message.
    """
    document = json.loads(body)
    if "payload" in document and "KinesisBatchInfo" in document:
        records = json.loads(document["payload"])["Records"]
        return _split(base64.b64decode(record["kinesis"]["data"]) for record in records)
    if document.get("kind") == "unpublished_records":
        return _split(base64.b64decode(record["data_base64"]) for record in document["records"])
    if document.get("kind") == "rejected_record":
        return (base64.b64decode(document["payload_base64"]),)
    raise ValueError("the object is neither a failed batch, nor unpublished records, nor a rejected line")


def _split(payloads: Any) -> tuple[bytes, ...]:
    return tuple(line for payload in payloads for line in payload.removesuffix(b"\n").split(b"\n"))
