"""The realtime table's signs of life: its items, and how new their trades are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

SMOKE_FEED = "smoke"
"""Feed of a smoke test, which must not pass for life."""


@dataclass(frozen=True)
class StateHeartbeat:
    client: "DynamoDBClient"
    table: str

    def event_times_ns(self) -> Iterator[int]:
        """Yield the time of each item's newest trade."""
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.table,
            ProjectionExpression="event_time_ns",
            FilterExpression="feed <> :smoke AND attribute_exists(event_time_ns)",
            ExpressionAttributeValues={":smoke": {"S": SMOKE_FEED}},
        )
        for page in pages:
            for item in page["Items"]:
                yield int(item["event_time_ns"]["N"])
