"""A rejected line or record as a message of the dead-letter queue, and back."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from stock_pipeline.domain.rejection import Reason, Rejection

KIND = "rejected_record"


def rejection_message(rejection: Rejection) -> dict[str, Any]:
    """Return the message. Its payload is text for people, base64 for redrive."""
    return {
        "kind": KIND,
        "rejection_id": rejection.rejection_id,
        "reason": str(rejection.reason),
        "detail": rejection.detail[:500],
        "shard_id": rejection.shard_id,
        "sequence_number": rejection.sequence_number,
        "line": rejection.line,
        "partition_key": rejection.partition_key,
        "arrival_time": rejection.arrival_time,
        "payload": rejection.payload[:200].decode("utf-8", "replace"),
        "payload_base64": base64.b64encode(rejection.payload).decode(),
    }


def parse_rejection_message(message: Mapping[str, Any]) -> Rejection:
    """Return the rejection in a message. Raises `ValueError` if it is of another kind or incomplete."""
    try:
        if message["kind"] != KIND:
            raise ValueError(f"message is a {message['kind']!r}, not a {KIND}")
        return Rejection(
            reason=Reason(message["reason"]),
            detail=message["detail"],
            payload=base64.b64decode(message["payload_base64"], validate=True),
            shard_id=message["shard_id"],
            sequence_number=message["sequence_number"],
            line=None if message["line"] is None else int(message["line"]),
            partition_key=message["partition_key"],
            arrival_time=float(message["arrival_time"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{KIND} message is incomplete: {error!r}") from None


def message_bytes(rejection: Rejection) -> bytes:
    # ASCII, because SQS refuses U+FFFE and U+FFFF, valid UTF-8, and such a line would always fail its batch
    return json.dumps(rejection_message(rejection)).encode()
