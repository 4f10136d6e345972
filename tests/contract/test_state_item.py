"""What the realtime table's item looks like, and how large it may get."""

import json
import random
import uuid
import zlib
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.errors import DamagedItemError
from tests.fakes.clients import FakeDynamoDbClient
from tests.support.trades import NOON, trade

ITEM_BYTES = 4 * 1024


def item_size(item: dict[str, Any]) -> int:
    """Count an item's size as DynamoDB does (Developer Guide, "Item sizes and formats"), numbers at their longest."""
    total = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        total += len(name.encode()) + (21 if kind == "N" else len(value if kind == "B" else value.encode()))
    return total


def test_an_item_of_the_longest_windows_is_below_four_kilobytes() -> None:
    chance = random.Random(1)
    windows = (5, 20, 50)
    key = SymbolKey("S" * 24, "a_feed_of_16_let")
    history = [
        trade(
            n,
            symbol=key.symbol,
            feed=key.feed,
            event_id=f"{key.feed}:{uuid.UUID(int=chance.getrandbits(128))}",
            event_time_ns=NOON + chance.getrandbits(44),
            price=Decimal(chance.randrange(10**11)) / 10**6,
            volume=chance.randrange(10**6),
            conditions="FTI",
        )
        for n in range(2 * window_capacity(windows))
    ]
    state = SymbolState(key, ()).merged_with(history, windows)
    assert len(state.window) == window_capacity(windows)
    item = StateTable(None, "table", windows, 7).item(state)  # type: ignore[arg-type]
    assert item_size(item) < ITEM_BYTES


def test_what_a_newer_release_added_to_an_item_is_left_out() -> None:
    client = FakeDynamoDbClient()
    table = StateTable(client, "table", (5,), 7)  # type: ignore[arg-type]
    state = SymbolState(SymbolKey("ABC", "sim"), ()).merged_with([trade(1, ingest_time_ns=0)], (5,))
    item = table.item(state)
    rows = json.loads(zlib.decompress(item["trade_window"]["B"]))
    newer = zlib.compress(json.dumps([[*row, "another field"] for row in rows]).encode())
    client.items["ABC", "sim"] = item | {"trade_window": {"B": newer}, "another": {"S": "attribute"}}
    stored = table.read([state.key])[state.key]
    assert stored == StoredState(state, state.revision)
    # and is replaced by the name that the newer one gave it
    table.write(state.merged_with([trade(2, ingest_time_ns=0)], (5,)), stored.revision)


@pytest.mark.parametrize("window", [b"torn", zlib.compress(b"[[1]]"), zlib.compress(b"{")])
def test_an_item_that_cannot_be_read_is_named_with_the_command_that_mends_it(window: bytes) -> None:
    client = FakeDynamoDbClient()
    table = StateTable(client, "table", (5,), 7)  # type: ignore[arg-type]
    state = SymbolState(SymbolKey("ABC", "sim"), ()).merged_with([trade(1)], (5,))
    client.items["ABC", "sim"] = table.item(state) | {"trade_window": {"B": window}}
    with pytest.raises(DamagedItemError, match="state rebuild --symbol ABC --replace"):
        table.read([state.key])


def test_an_item_without_a_revision_is_damaged_and_no_conflict_for_ever() -> None:
    client = FakeDynamoDbClient()
    table = StateTable(client, "table", (5,), 7)  # type: ignore[arg-type]
    state = SymbolState(SymbolKey("ABC", "sim"), ()).merged_with([trade(1)], (5,))
    client.items["ABC", "sim"] = {name: value for name, value in table.item(state).items() if name != "revision"}
    with pytest.raises(DamagedItemError, match="state rebuild --symbol ABC --replace"):
        table.read([state.key])


def test_an_item_shows_latest_trade_averages_and_expiry() -> None:
    windows = (2, 5)
    state = SymbolState(SymbolKey("ABC", "sim"), ()).merged_with([trade(n) for n in range(4)], windows)
    item = StateTable(None, "table", windows, 7).item(state)  # type: ignore[arg-type]
    read = {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
    del read["trade_window"]
    assert read == {
        "symbol": "ABC",
        "feed": "sim",
        "revision": state.revision,
        "price": Decimal("13.5"),
        "volume": 100,
        "event_time": "2018-01-02T17:00:03.000000000Z",
        "event_time_ns": NOON + 3 * 10**9,
        "event_id": "sim:ABC:20180102:X:3",
        "exchange": "X",
        "conditions": "",
        "last_eligible": {
            "price": Decimal("13.5"),
            "event_time_ns": NOON + 3 * 10**9,
            "event_id": "sim:ABC:20180102:X:3",
        },
        "session_date": "2018-01-02",
        "sma_2": Decimal("13"),
        "sma_2_trades": 2,
        "sma_5": Decimal("12"),
        "sma_5_trades": 4,
        "expires_at": NOON // 10**9 + 3 + 7 * 86_400,
    }


def test_an_item_does_not_depend_on_how_a_price_was_written() -> None:
    table = StateTable(None, "table", (5,), 7)  # type: ignore[arg-type]
    items = [
        table.item(SymbolState(SymbolKey("ABC", "sim"), ()).merged_with([trade(1, price=Decimal(price))], (5,)))
        for price in ("10.5", "10.500000", "1.05E+1")
    ]
    assert items[0] == items[1] == items[2]
