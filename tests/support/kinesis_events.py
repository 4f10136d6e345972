"""Kinesis events as Lambda receives them."""

import base64
from collections.abc import Sequence
from typing import Any


def kinesis_event(payloads: Sequence[bytes], shard: int = 0, first: int = 1) -> dict[str, Any]:
    shard_id = f"shardId-{shard:012}"
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "bucket-0001",
                    "sequenceNumber": f"{first + number:056}",
                    "data": base64.b64encode(payload).decode(),
                    "approximateArrivalTimestamp": 1514912400.5,
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
