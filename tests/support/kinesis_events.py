"""Kinesis events as Lambda receives them."""

import base64
from collections.abc import Sequence
from typing import Any

NOON = 1514912400.5
"""Of 2018-01-02 in New York."""


def kinesis_event(
    payloads: Sequence[bytes], shard: int = 0, first: int = 1, arrived_at: float = NOON
) -> dict[str, Any]:
    """Records of a shard. arrived_at: all of them, in seconds since 1970 UTC."""
    shard_id = f"shardId-{shard:012}"
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "bucket-0001",
                    "sequenceNumber": f"{first + number:056}",
                    "data": base64.b64encode(payload).decode(),
                    "approximateArrivalTimestamp": arrived_at,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{shard_id}:{first + number:056}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/processor",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/stock-stream",
            }
            for number, payload in enumerate(payloads)
        ]
    }
