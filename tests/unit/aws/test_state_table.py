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


class Scene:
    def __init__(self) -> None:
        self.faults = Faults(minute=lambda: None, overtake=lambda: None)
        client = FaultyClient(FakeDynamoDbClient(), self.faults)
        self.table = StateTable(client, "table", WINDOWS)  # type: ignore[arg-type]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def state(key: SymbolKey, *numbers: int) -> SymbolState:
    return SymbolState(key, ()).merged_with([trade(n, symbol=key.symbol, ingest_time_ns=0) for n in numbers], WINDOWS)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNREACHABLE, Fault.ANSWER_LOST])
def test_calls_that_may_succeed_later_are_retryable(scene: Scene, fault: Fault) -> None:
    scene.faults.expect("put_item", fault)
    with pytest.raises(RetryableError) as raised:
        scene.table.write(state(KEYS[0], 1), None)
    assert not isinstance(raised.value, StateConflictError)
    scene.faults.expect("batch_get_item", fault)
    with pytest.raises(RetryableError):
        scene.table.read(KEYS)


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REPEATED])
def test_a_write_whose_answer_was_lost_is_found_by_the_next_read(scene: Scene, fault: Fault) -> None:
    scene.faults.expect("put_item", fault)
    with pytest.raises(RetryableError):
        scene.table.write(state(KEYS[0], 1), None)
    assert scene.table.read(KEYS)[KEYS[0]].state == state(KEYS[0], 1)


def test_keys_that_were_left_unread_are_asked_for_again(scene: Scene) -> None:
    for key in KEYS:
        scene.table.write(state(key, 1), None)
    scene.faults.expect("batch_get_item", Fault.PARTIAL, Fault.PARTIAL)
    assert {key: stored.state for key, stored in scene.table.read(KEYS).items()} == {key: state(key, 1) for key in KEYS}


def test_keys_left_unread_are_no_missing_states(scene: Scene) -> None:
    for key in KEYS:
        scene.table.write(state(key, 1), None)
    scene.faults.expect("batch_get_item", *[Fault.PARTIAL] * 2, *[Fault.REFUSED] * READ_ATTEMPTS)
    with pytest.raises(RetryableError):
        scene.table.read(KEYS)
