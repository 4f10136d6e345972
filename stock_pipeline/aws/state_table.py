"""DynamoDB table of the latest state: one item per symbol and feed.

An item shows the latest trade and averages, and carries the window they follow from as one compressed attribute. Every
attribute is a function of the window alone.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from stock_pipeline.aws.passing_errors import passing_code
from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade, exact_shares, shares_text
from stock_pipeline.errors import DamagedItemError, RetryableError, StateConflictError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEYS_PER_READ = 100
READ_ATTEMPTS = 8
EXPIRES_AT = "expires_at"
"""Attribute that the table's time to live is set on."""

_WINDOW_FIELDS = (
    "event_time_ns",
    "sequence",
    "event_id",
    "version",
    "status",
    "price",
    "volume",
    "exchange",
    "conditions",
    "tape",
    "capture_mode",
)


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
            states.update(found)
            if not pending:
                return states
        raise RetryableError(f"DynamoDB left keys of {self.name} unread; try again")

    def read_once(self, keys: Sequence[SymbolKey]) -> tuple[dict[SymbolKey, StoredState], list[SymbolKey]]:
        """Do `read` without a wait. Return also the keys that DynamoDB left unread."""
        states: dict[SymbolKey, StoredState] = {}
        unread: list[SymbolKey] = []
        for start in range(0, len(keys), KEYS_PER_READ):
            unread += self._read_some(keys[start : start + KEYS_PER_READ], states)
        return states, unread

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
        """Put the item if the stored one has the revision `replaces` (None: there is none).

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
        try:
            with _passing_errors_retryable(f"write {state.key}"):
                self.client.put_item(TableName=self.name, Item=self.item(state), **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise StateConflictError(f"{state.key} was written by another process; read it again") from error
            raise

    def item(self, state: SymbolState) -> dict[str, Any]:
        """Return the item in DynamoDB's typed form."""
        item: dict[str, Any] = {
            "symbol": {"S": state.key.symbol},
            "feed": {"S": state.key.feed},
            "revision": {"S": state.revision},
            "trade_window": {"B": _pack_window(state.window)},
        }
        if state.older:
            item["older_trades"] = {"B": _pack_window(state.older)}
        latest = state.latest
        if latest is not None:
            item |= _latest_attributes(latest)
            item["session_date"] = {"S": f"{state.session_date}"}
        last = state.last_eligible
        if last is not None:
            item["last_eligible"] = {
                "M": {
                    "price": {"N": _number(last.price)},
                    "event_time_ns": {"N": str(last.event_time_ns)},
                    "event_id": {"S": last.event_id},
                }
            }
        for average in state.averages(self.average_windows):
            item[f"sma_{average.window}"] = {"N": _number(average.price)}
            item[f"sma_{average.window}_trades"] = {"N": str(average.trade_count)}
        if self.time_to_live_days is not None and state.window:
            newest = state.window[-1].event_time_ns // 10**9
            item[EXPIRES_AT] = {"N": str(newest + self.time_to_live_days * 86_400)}
        return item

    def _read_some(self, keys: Sequence[SymbolKey], states: dict[SymbolKey, StoredState]) -> list[SymbolKey]:
        """Put what one call reads into `states`; return the keys that it left unread."""
        request: Any = {
            "Keys": [{"symbol": {"S": key.symbol}, "feed": {"S": key.feed}} for key in keys],
            "ProjectionExpression": "symbol, feed, revision, trade_window, older_trades",
            "ConsistentRead": True,
        }
        with _passing_errors_retryable(f"read {self.name}"):
            response = self.client.batch_get_item(RequestItems={self.name: request})
        for item in response["Responses"].get(self.name, ()):
            stored = _stored_state(item)
            states[stored.state.key] = stored
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


def _stored_state(item: Mapping[str, Any]) -> StoredState:
    key = SymbolKey(item["symbol"]["S"], item["feed"]["S"])
    try:
        window = _unpack_window(key, item["trade_window"]["B"])
        older = _unpack_window(key, item["older_trades"]["B"]) if "older_trades" in item else ()
        return StoredState(SymbolState(key, window, older), item["revision"]["S"])
    except (zlib.error, ValueError, ArithmeticError, KeyError, TypeError) as error:
        raise DamagedItemError(
            f"the item of {key.symbol} ({key.feed}) can't be read ({error!r}): "
            f"`stock-pipeline state rebuild --symbol {key.symbol} --replace` makes it anew from the lake"
        ) from error


def _unpack_window(key: SymbolKey, packed: bytes) -> tuple[Trade, ...]:
    return tuple(_window_trade(key, row) for row in json.loads(zlib.decompress(packed)))


def _window_trade(key: SymbolKey, row: Sequence[Any]) -> Trade:
    """Return a row as a trade. What a newer release wrote behind the fields of this one is left out."""
    fields = dict(zip(_WINDOW_FIELDS, row[: len(_WINDOW_FIELDS)], strict=True))
    fields["price"] = Decimal(fields["price"])
    if isinstance(fields["volume"], str):
        fields["volume"] = exact_shares(Decimal(fields["volume"]))
    return Trade(symbol=key.symbol, feed=key.feed, ingest_time_ns=0, **fields)


def _pack_window(window: Sequence[Trade]) -> bytes:
    rows = [
        [_number(value) if isinstance(value, Decimal) else value for value in _window_row(trade)] for trade in window
    ]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), level=9)


def _window_row(trade: Trade) -> list[Any]:
    return [getattr(trade, name) for name in _WINDOW_FIELDS]


def _latest_attributes(trade: Trade) -> dict[str, Any]:
    attributes = {
        "price": {"N": _number(trade.price)},
        "event_time": {"S": _iso_nanoseconds(trade.event_time_ns)},
        "event_time_ns": {"N": str(trade.event_time_ns)},
        "event_id": {"S": trade.event_id},
        "exchange": {"S": trade.exchange},
        "conditions": {"S": trade.conditions},
    }
    if trade.volume is not None:
        attributes["volume"] = {"N": shares_text(trade.volume)}
    return attributes


def _number(value: Decimal) -> str:
    """Write equal prices as one text: 10.50 and 10.5 are the same item."""
    return f"{value.normalize():f}"


def _iso_nanoseconds(event_time_ns: int) -> str:
    seconds, nanoseconds = divmod(event_time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"
