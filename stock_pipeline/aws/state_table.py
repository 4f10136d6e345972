"""DynamoDB table of the latest state: one item per symbol and feed.

An item shows the latest trade and averages, and carries the window they follow from as one compressed attribute. Every
attribute is a function of the window alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from stock_pipeline.aws.passing_errors import passing_code
from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.domain.trade import shares_text
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.state.rows import EVENT_TIME, NewState, ShownPrint, new_state
from stock_pipeline.state.stored_item import StoredItem, packed, price_text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEYS_PER_READ = 100
READ_ATTEMPTS = 8
EXPIRES_AT = "expires_at"
"""Attribute that the table's time to live is set on."""


@dataclass(frozen=True)
class StateTable:
    """Table of `SymbolState`, read and conditionally written.

    time_to_live_days: an item expires this long after its newest trade, not after a clock's time, so that writing an
    old session again gives the same item
    wait: pauses before asking again for keys that DynamoDB left unread, for the given time (1, 2, …)
    """

    client: "DynamoDBClient"
    name: str
    average_windows: tuple[int, ...]
    time_to_live_days: int | None = None
    wait: Callable[[int], None] = lambda _attempt: None

    def read(self, keys: Sequence[SymbolKey]) -> dict[SymbolKey, StoredState]:
        """Return the stored states, read consistently, without keys that have no item.

        Raises `RetryableError` if DynamoDB throttles or does not answer.
        """
        states: dict[SymbolKey, StoredState] = {}
        pending: Sequence[SymbolKey] = keys
        for earlier_attempts in range(READ_ATTEMPTS):
            if earlier_attempts:
                self.wait(earlier_attempts)
            found, pending = self.read_once(pending)
            states.update({key: item.stored_state() for key, item in found.items()})
            if not pending:
                return states
        raise RetryableError(f"DynamoDB left keys of {self.name} unread; try again")

    def read_once(self, keys: Sequence[SymbolKey]) -> tuple[dict[SymbolKey, StoredItem], list[SymbolKey]]:
        """Return the items, read consistently, without keys that have none; and the keys that were left unread.

        Raises `RetryableError` if DynamoDB throttles or does not answer.
        """
        items: dict[SymbolKey, StoredItem] = {}
        unread: list[SymbolKey] = []
        for start in range(0, len(keys), KEYS_PER_READ):
            unread += self._read_some(keys[start : start + KEYS_PER_READ], items)
        return items, unread

    def keys_of_session(self, session_date: date) -> list[SymbolKey]:
        """Return the symbols whose latest trade is of this session. Reads the whole table: an item a symbol."""
        with _passing_errors_retryable(f"scan {self.name}"):
            pages = self.client.get_paginator("scan").paginate(
                TableName=self.name,
                ProjectionExpression="symbol, feed",
                FilterExpression="session_date = :session",
                ExpressionAttributeValues={":session": {"S": f"{session_date}"}},
            )
            return [SymbolKey(item["symbol"]["S"], item["feed"]["S"]) for page in pages for item in page["Items"]]

    def revision(self, key: SymbolKey) -> str | None:
        """Return the stored revision, read consistently and without a look at the trades; None if there is no item."""
        request: Any = {
            "Keys": [{"symbol": {"S": key.symbol}, "feed": {"S": key.feed}}],
            "ProjectionExpression": "revision",
            "ConsistentRead": True,
        }
        with _passing_errors_retryable(f"read {key}"):
            response = self.client.batch_get_item(RequestItems={self.name: request})
        if response.get("UnprocessedKeys"):
            raise RetryableError(f"DynamoDB left {key} of {self.name} unread; try again")
        items = response["Responses"].get(self.name, ())
        return items[0]["revision"]["S"] if items else None

    def write(self, state: SymbolState, replaces: str | None) -> None:
        """Do `put` for a state of trades."""
        self.put(new_state(state, self.average_windows), replaces)

    def put(self, state: NewState, replaces: str | None) -> StoredItem:
        """Put the item if the stored one has the revision `replaces` (None: there is none). Return it.

        Raises `StateConflictError` if it has another; `RetryableError` if DynamoDB throttles or does not answer. It may
        be written all the same then, and the next read shows it.
        """
        condition: dict[str, Any]
        if replaces is None:
            condition = {"ConditionExpression": "attribute_not_exists(symbol)"}
        else:
            condition = {
                "ConditionExpression": "revision = :stored",
                "ExpressionAttributeValues": {":stored": {"S": replaces}},
            }
        item = self._item(state)
        try:
            with _passing_errors_retryable(f"write {state.key}"):
                self.client.put_item(TableName=self.name, Item=item, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise StateConflictError(f"{state.key} was written by another process; read it again") from error
            raise
        return _stored_item(item)

    def item(self, state: SymbolState) -> dict[str, Any]:
        """Return the item in DynamoDB's typed form."""
        return self._item(new_state(state, self.average_windows))

    def _item(self, state: NewState) -> dict[str, Any]:
        item: dict[str, Any] = {
            "symbol": {"S": state.key.symbol},
            "feed": {"S": state.key.feed},
            "revision": {"S": state.revision},
            "trade_window": {"B": packed(state.window, state.kinds)},
        }
        if state.older.count:
            item["older_trades"] = {"B": packed(state.older, state.kinds)}
        latest = state.latest
        if latest is not None:
            item |= _latest_attributes(latest)
            item["session_date"] = {"S": _iso_date(state.session_day)}
        last = state.last_eligible
        if last is not None:
            item["last_eligible"] = {
                "M": {
                    "price": {"N": price_text(last.price)},
                    "event_time_ns": {"N": str(last.event_time_ns)},
                    "event_id": {"S": last.event_id},
                }
            }
        for average in state.averages:
            item[f"sma_{average.window}"] = {"N": price_text(average.price)}
            item[f"sma_{average.window}_trades"] = {"N": str(average.trade_count)}
        if self.time_to_live_days is not None and state.window.count:
            newest = int(state.window.numbers[EVENT_TIME, -1]) // 10**9
            item[EXPIRES_AT] = {"N": str(newest + self.time_to_live_days * 86_400)}
        return item

    def _read_some(self, keys: Sequence[SymbolKey], items: dict[SymbolKey, StoredItem]) -> list[SymbolKey]:
        """Put what one call reads into `items`; return the keys that it left unread."""
        request: Any = {
            "Keys": [{"symbol": {"S": key.symbol}, "feed": {"S": key.feed}} for key in keys],
            "ProjectionExpression": "symbol, feed, revision, trade_window, older_trades",
            "ConsistentRead": True,
        }
        with _passing_errors_retryable(f"read {self.name}"):
            response = self.client.batch_get_item(RequestItems={self.name: request})
        for item in response["Responses"].get(self.name, ()):
            stored = _stored_item(item)
            items[stored.key] = stored
        unprocessed: Any = response.get("UnprocessedKeys", {})
        left = unprocessed.get(self.name, {}).get("Keys", ())
        return [SymbolKey(key["symbol"]["S"], key["feed"]["S"]) for key in left]


@contextmanager
def _passing_errors_retryable(doing: str) -> Iterator[None]:
    """Raise `RetryableError` for what may pass by itself: throttling and lost calls."""
    try:
        yield
    except Exception as error:
        code = passing_code(error)
        if code is None:
            raise
        raise RetryableError(f"DynamoDB refused to {doing}, or did not answer ({code}); try again") from error


def _stored_item(item: Mapping[str, Any]) -> StoredItem:
    """Return an item. What it lacks is empty, and no window: it is found damaged when its rows are read."""

    def attribute(name: str, kind: str, otherwise: Any) -> Any:
        typed = item.get(name, {})
        return typed.get(kind, otherwise)

    return StoredItem(
        key=SymbolKey(item["symbol"]["S"], item["feed"]["S"]),
        revision=attribute("revision", "S", ""),
        window=attribute("trade_window", "B", b""),
        older=attribute("older_trades", "B", b""),
    )


def _latest_attributes(latest: ShownPrint) -> dict[str, Any]:
    attributes = {
        "price": {"N": price_text(latest.price)},
        "event_time": {"S": _iso_nanoseconds(latest.event_time_ns)},
        "event_time_ns": {"N": str(latest.event_time_ns)},
        "event_id": {"S": latest.event_id},
        "exchange": {"S": latest.exchange},
        "conditions": {"S": latest.conditions},
    }
    if latest.volume is not None:
        attributes["volume"] = {"N": shares_text(latest.volume)}
    return attributes


@lru_cache(maxsize=64)
def _iso_date(days: int) -> str:
    return f"{date(1970, 1, 1) + timedelta(days)}"


def _iso_nanoseconds(event_time_ns: int) -> str:
    seconds, nanoseconds = divmod(event_time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"
