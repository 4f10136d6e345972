"""What the state table makes of DynamoDB's errors: passing ones are retryable, and nothing is half read."""

import pytest

from stock_pipeline.aws.state_table import READ_ATTEMPTS, StateTable
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.errors import RetryableError, StateConflictError
from tests.fakes.clients import FakeDynamoDbClient
from tests.fakes.faults import Fault, Faults, FaultyClient
from tests.support.trades import trade

WINDOWS = (5, 20)
KEYS = [SymbolKey(f"S{n}", "sim") for n in range(7)]


@pytest.fixture
def faults() -> Faults:
    return Faults(pass_by=lambda _seconds: None, overtake=lambda: None)


@pytest.fixture
def table(faults: Faults) -> StateTable:
    return StateTable(FaultyClient(FakeDynamoDbClient(), faults), "table", WINDOWS)  # type: ignore[arg-type]


def state(key: SymbolKey, *numbers: int) -> SymbolState:
    return SymbolState(key, ()).merged_with([trade(n, symbol=key.symbol, ingest_time_ns=0) for n in numbers], WINDOWS)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNREACHABLE, Fault.ANSWER_LOST])
def test_calls_that_may_succeed_later_are_retryable(faults: Faults, table: StateTable, fault: Fault) -> None:
    faults.expect("put_item", fault)
    with pytest.raises(RetryableError) as raised:
        table.write(state(KEYS[0], 1), None)
    assert not isinstance(raised.value, StateConflictError)
    faults.expect("batch_get_item", fault)
    with pytest.raises(RetryableError):
        table.read(KEYS)


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REPEATED])
def test_a_write_whose_answer_was_lost_is_found_by_the_next_read(
    faults: Faults, table: StateTable, fault: Fault
) -> None:
    faults.expect("put_item", fault)
    with pytest.raises(RetryableError):
        table.write(state(KEYS[0], 1), None)
    assert table.read(KEYS)[KEYS[0]].state == state(KEYS[0], 1)


def test_keys_that_were_left_unread_are_asked_for_again(faults: Faults, table: StateTable) -> None:
    for key in KEYS:
        table.write(state(key, 1), None)
    faults.expect("batch_get_item", Fault.PARTIAL, Fault.PARTIAL)
    assert {key: stored.state for key, stored in table.read(KEYS).items()} == {key: state(key, 1) for key in KEYS}


def test_keys_left_unread_are_no_missing_states(faults: Faults, table: StateTable) -> None:
    for key in KEYS:
        table.write(state(key, 1), None)
    faults.expect("batch_get_item", *[Fault.PARTIAL] * 2, *[Fault.REFUSED] * READ_ATTEMPTS)
    with pytest.raises(RetryableError):
        table.read(KEYS)
