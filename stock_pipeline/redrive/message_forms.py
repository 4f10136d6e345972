"""Forms of the dead-letter queue's messages, and where each has its lines.

They are: a rejected line or record, unpublished records of the producer, the notification of a failed batch by S3,
alone or through SNS or EventBridge, its metadata-only message, and a provider's unreadable payload. What to do is
decided in `domain.redrive_plan`.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from stock_pipeline.domain.redrive_plan import Inline, Origin, StoredObject, StreamRange, Unredrivable
from stock_pipeline.streaming.record_lines import lines_of
from stock_pipeline.streaming.rejection_message import KIND as REJECTED

UNPUBLISHED = "unpublished_records"

SHOWN_CHARACTERS = 60
"""Of a rejected line's detail and of its bytes, where people look at many."""


def origins_of(body: str) -> tuple[Origin, ...]:
    """Return where a message's lines are: nowhere, if it announces nothing.

    A message that is no form of these is `Unredrivable`. Raises `RecursionError` for one that nests too deep to tell.
    """
    try:
        message = json.loads(body)
        if not isinstance(message, dict):
            return (Unredrivable("the message is not a JSON object"),)
        return _origins(message)
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error) as error:
        return (Unredrivable(f"the message can't be understood: {type(error).__name__}: {error}"),)


def is_rejection(body: str) -> bool:
    """Return whether the message is a rejected line, or a record that was rejected whole."""
    return _parsed(body).get("kind") == REJECTED


def reason_of(body: str) -> str | None:
    """Return why a line was rejected, if the message says so."""
    message = _parsed(body)
    reason = message.get("reason") if message.get("kind") == REJECTED else None
    return reason if isinstance(reason, str) else None


def complaint_of(body: str) -> str:
    """Return what was wrong with a rejected line, and how the line begins; nothing for another message."""
    message = _parsed(body)
    if message.get("kind") != REJECTED:
        return ""
    said = [message.get(name) for name in ("reason", "detail", "payload")]
    return ", ".join(shortened(text) for text in said if isinstance(text, str) and text)


def shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def message_of_lines(lines: Sequence[bytes], why: str) -> str:
    """Return a message that has lines itself, for some that are kept nowhere else."""
    # a record each, because some are records that stay whole
    records = [{"partition_key": "", "data_base64": base64.b64encode(line).decode()} for line in lines]
    return json.dumps({"kind": UNPUBLISHED, "reason": why, "records": records})


def origin_of_object(body: bytes) -> Inline | StreamRange:
    """Return where the lines are that an object stands for. Raises `ValueError` for an unknown form.

    Known are a failed batch (the whole invocation event, or its place in the stream only), unpublished records, and a
    rejection too large for a message.
    """
    document = json.loads(body)
    if "KinesisBatchInfo" in document:
        if document.get("payload") is None:
            return _stream_range(document["KinesisBatchInfo"])
        records = json.loads(document["payload"])["Records"]
        return _inline(base64.b64decode(record["kinesis"]["data"]) for record in records)
    if document.get("kind") == UNPUBLISHED:
        return _unpublished(document)
    if document.get("kind") == REJECTED:
        return _inline([base64.b64decode(document["payload_base64"])])
    raise ValueError("the object is neither a failed batch, nor unpublished records, nor a rejection")


def is_kept_records(body: bytes) -> bool:
    """Return whether the object has records that the stream refused. Its content names it, so that it never changes."""
    return _parsed(body).get("kind") == UNPUBLISHED


def lines_of_records(payloads: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the lines of records, as the processor has them: what is no lines of JSON is one."""
    return tuple(line for payload in payloads for line in lines_of(payload))


def _origins(message: Mapping[str, Any]) -> tuple[Origin, ...]:
    if message.get("Type") == "Notification" and "Message" in message:
        return origins_of(message["Message"])
    if "KinesisBatchInfo" in message:
        return (_stream_range(message["KinesisBatchInfo"]),)
    if message.get("Event") == "s3:TestEvent":
        return ()
    if message.get("source") == "aws.s3":
        place = message["detail"]
        # as it is: unlike S3's own notifications, EventBridge's encode no key
        return (StoredObject(place["bucket"]["name"], place["object"]["key"]),)
    if "Records" in message:
        places = [record["s3"] for record in message["Records"]]
        if not places:
            return (Unredrivable("a notification that names no object"),)
        return tuple(StoredObject(place["bucket"]["name"], unquote_plus(place["object"]["key"])) for place in places)
    return (_own_form(message),)


def _own_form(message: Mapping[str, Any]) -> Origin:
    kind = message["kind"]
    if kind == "unreadable_payload":
        return Unredrivable("a provider's payload that could not be read: the provider's reader must learn it first")
    if "document" in message:
        bucket, _, key = str(message["document"]).removeprefix("s3://").partition("/")
        return StoredObject(bucket, key)
    if kind == UNPUBLISHED:
        return _unpublished(message)
    if kind == REJECTED:
        return _inline([base64.b64decode(message["payload_base64"], validate=True)])
    return Unredrivable(f"unknown kind of message: {kind!r}")


def _stream_range(batch: Mapping[str, Any]) -> StreamRange:
    return StreamRange(
        stream_arn=batch["streamArn"],
        shard_id=batch["shardId"],
        first_sequence=batch["startSequenceNumber"],
        last_sequence=batch["endSequenceNumber"],
        records=int(batch["batchSize"]),
    )


def _unpublished(document: Mapping[str, Any]) -> Inline:
    return _inline(base64.b64decode(record["data_base64"]) for record in document["records"])


def _inline(payloads: Iterable[bytes]) -> Inline:
    return Inline(lines_of_records(payloads))


def _parsed(body: str | bytes) -> Mapping[str, Any]:
    """Return the JSON object, or an empty one for anything else."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
