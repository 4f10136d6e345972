"""The state table and its fakes do the same, so what a test sees of a fake is true of DynamoDB."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.errors import StateConflictError
from tests.fakes.clients import FakeDynamoDbClient
from tests.fakes.stores import FakeStateTable
from tests.support.emulated_services import local_clients
from tests.support.trades import trade

KEY = SymbolKey("ABC", "sim")
WINDOWS = (5, 20)


@pytest.fixture(scope="module")
def clients(aws_endpoint: str) -> Iterator[Clients]:
    with closing(local_clients(aws_endpoint)) as opened:
        yield opened


@pytest.fixture(params=["fake", "fake client", "moto"])
def state_table(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeStateTable()
    if request.param == "fake client":
        return StateTable(FakeDynamoDbClient(), "table", WINDOWS)  # type: ignore[arg-type]
    dynamodb = request.getfixturevalue("clients").dynamodb
    name = f"table-{uuid.uuid4()}"
    keys = [("symbol", "HASH"), ("feed", "RANGE")]
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return StateTable(dynamodb, name, WINDOWS)


def state(*numbers: int) -> SymbolState:
    return SymbolState(KEY, ()).merged_with([trade(n, ingest_time_ns=0) for n in numbers], WINDOWS)


def test_a_revision_is_read_without_a_look_at_the_trades(state_table: Any) -> None:
    assert state_table.revision(KEY) is None
    state_table.write(state(1), None)
    assert state_table.revision(KEY) == state(1).revision


def test_a_state_is_read_as_it_was_written(state_table: Any) -> None:
    written = state(1, 2).merged_with(
        [trade(2, version=1, status="cancelled", volume=None, capture_mode="quote", ingest_time_ns=0)], WINDOWS
    )
    assert state_table.read([KEY]) == {}
    state_table.write(written, None)
    stored = state_table.read([KEY, SymbolKey("NONE", "sim")])
    assert stored[KEY].state == written
    assert stored[KEY].revision == written.revision
    assert len(stored) == 1


def test_a_state_is_replaced_only_by_who_read_it_last(state_table: Any) -> None:
    state_table.write(state(1), None)
    with pytest.raises(StateConflictError):
        state_table.write(state(2), None)
    state_table.write(state(1, 2), state(1).revision)
    with pytest.raises(StateConflictError):
        state_table.write(state(1, 3), state(1).revision)
    assert state_table.read([KEY])[KEY].state == state(1, 2)


def test_a_state_that_is_not_there_can_not_be_replaced(state_table: Any) -> None:
    with pytest.raises(StateConflictError):
        state_table.write(state(1), "the revision of an item that is gone")
    assert state_table.read([KEY]) == {}


def test_a_repeated_write_conflicts_with_itself(state_table: Any) -> None:
    state_table.write(state(1), None)
    for replaces in (None, "another"):
        with pytest.raises(StateConflictError):
            state_table.write(state(1), replaces)
    state_table.write(state(1), state(1).revision)
    assert state_table.read([KEY])[KEY].state == state(1)


def test_states_of_one_symbol_in_two_feeds_are_two(state_table: Any) -> None:
    other = SymbolKey(KEY.symbol, "iex")
    state_table.write(state(1), None)
    state_table.write(SymbolState(other, ()).merged_with([trade(2, feed="iex", ingest_time_ns=0)], WINDOWS), None)
    assert {key: len(each.state.window) for key, each in state_table.read([KEY, other]).items()} == {
        KEY: 1,
        other: 1,
    }


def test_more_keys_than_one_read_takes_are_read(state_table: Any) -> None:
    keys = [SymbolKey(f"S{n}", "sim") for n in range(130)]
    for key in keys[::13]:
        state_table.write(SymbolState(key, state(1).window), None)
    assert set(state_table.read(keys)) == set(keys[::13])
