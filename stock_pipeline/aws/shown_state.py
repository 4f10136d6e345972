"""What the realtime table shows of each symbol, without the window it follows from."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stock_pipeline.aws.state_heartbeat import SMOKE_FEED
from stock_pipeline.domain.symbol_state import SymbolKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_AVERAGE = "sma_"


@dataclass(frozen=True, slots=True)
class ShownState:
    """A symbol's newest execution and averages.

    price, volume: of the newest execution. last_eligible: what the tape takes for its last price. averages: by trades.
    """

    key: SymbolKey
    session_date: date
    event_time_ns: int
    price: Decimal
    last_eligible: Decimal | None
    averages: dict[int, Decimal]
    volume: Decimal


@dataclass(frozen=True)
class ShownStates:
    """Reads the whole table, an item a symbol, eventually consistent: half the price."""

    client: "DynamoDBClient"
    table: str
    average_windows: tuple[int, ...]

    def read(self) -> Iterator[ShownState]:
        """Yield the items that show a trade."""
        averages = ", ".join(f"{_AVERAGE}{window}" for window in self.average_windows)
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.table,
            ProjectionExpression=f"symbol, feed, price, volume, event_time_ns, session_date, last_eligible, {averages}",
            FilterExpression="feed <> :smoke AND attribute_exists(event_time_ns)",
            ExpressionAttributeValues={":smoke": {"S": SMOKE_FEED}},
        )
        for page in pages:
            for item in page["Items"]:
                yield self._shown(item)

    def _shown(self, item: Any) -> ShownState:
        return ShownState(
            key=SymbolKey(item["symbol"]["S"], item["feed"]["S"]),
            session_date=date.fromisoformat(item["session_date"]["S"]),
            event_time_ns=int(item["event_time_ns"]["N"]),
            price=Decimal(item["price"]["N"]),
            volume=Decimal(item["volume"]["N"]),
            last_eligible=Decimal(item["last_eligible"]["M"]["price"]["N"]) if "last_eligible" in item else None,
            averages={
                window: Decimal(item[f"{_AVERAGE}{window}"]["N"])
                for window in self.average_windows
                if f"{_AVERAGE}{window}" in item
            },
        )
