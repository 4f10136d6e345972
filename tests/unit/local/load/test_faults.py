"""Injected faults: each fails as it says, before or after the effect, and none changes what goes through."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.local.event_source.function_runtime import FunctionTimedOutError
from stock_pipeline.local.load.faults import (
    RATES,
    Fault,
    Faults,
    FaultyFunction,
    FaultyQueue,
    FaultyRawStore,
    FaultyStateStore,
    FaultyStream,
)
from stock_pipeline.state.rows import new_state
from stock_pipeline.streaming.record_packing import PackedRecord
from tests.fakes.stores import FakeObjectStore, FakeQueue, FakeStateTable
from tests.support.trades import trade

WINDOWS = (5, 20)
KEY = SymbolKey("ABC", "sim")
STATE = SymbolState(KEY, ()).merged_with([trade(1, ingest_time_ns=0)], WINDOWS)
EVENT = {"Records": [{"eventID": "shard-0:1"}, {"eventID": "shard-0:2"}]}


class TakingStream:
    def __init__(self) -> None:
        self.taken: list[PackedRecord] = []

    def put(self, records: Sequence[PackedRecord]) -> list[str | None]:
        self.taken.extend(records)
        return [None] * len(records)


def always(*faults: Fault) -> Faults:
    return Faults(dict.fromkeys(faults, 1.0), seed=1)


def records(count: int) -> list[PackedRecord]:
    return [PackedRecord("bucket-0001", b"line %d" % number, 1) for number in range(count)]


def test_every_kind_happens_early_whatever_its_rate() -> None:
    faults = Faults(dict.fromkeys(Fault, 0.0), seed=1)
    assert [[faults.happens(fault) for _ in range(4)] for fault in Fault] == [[False, True, False, False]] * len(Fault)
    assert faults.counts == dict.fromkeys(Fault, 1)


def test_faults_come_at_their_rate_and_the_same_for_a_seed() -> None:
    def drawn(seed: int) -> list[bool]:
        faults = Faults({Fault.PUT_LOST: 0.1}, seed)
        return [faults.happens(Fault.PUT_LOST) for _ in range(5_000)]

    assert 400 < sum(drawn(1)) < 600
    assert drawn(1) == drawn(1) != drawn(2)


def test_counting_loses_nothing_between_threads() -> None:
    faults = always(Fault.STATE_CONFLICT)
    threads = [
        threading.Thread(target=lambda: [faults.happens(Fault.STATE_CONFLICT) for _ in range(5_000)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults.counts == {Fault.STATE_CONFLICT: 40_000}


def effects_of(faults: Faults) -> tuple[Any, ...]:
    """Send everything once through every wrapper; return what came back and what arrived."""
    stream, queue, store, table = TakingStream(), FakeQueue(), FakeObjectStore(), FakeStateTable()
    answers = FaultyStream(stream, faults).put(records(3))
    FaultyQueue(queue, faults).send([b"one", b"two"])
    written = [FaultyRawStore(store, faults).put_if_absent("key", b"body") for _ in range(2)]
    states = FaultyStateStore(table, faults)
    states.put(new_state(STATE, (2,)), None)
    answer = FaultyFunction(lambda event, context: (event, context), faults)(EVENT, "context")
    return answers, stream.taken, queue.documents, written, store.objects, states.read_once([KEY])[0], answer


def test_without_faults_a_wrapper_is_not_there() -> None:
    answers, taken, documents, written, objects, stored, answer = effects_of(Faults({}, seed=1))
    assert answers == [None] * 3
    assert taken == records(3)
    assert documents == [b"one", b"two"]
    assert written == [True, False]
    assert objects == {"key": b"body"}
    assert stored[KEY].stored_state().state == STATE
    assert answer == (EVENT, "context")


def test_nothing_fails_once_faults_are_over() -> None:
    faults = Faults(dict.fromkeys(RATES, 1.0), seed=1)
    faults.stop()
    assert effects_of(faults)[0] == [None] * 3
    assert faults.are_over
    assert faults.counts == {}


def test_only_a_refused_record_is_missing_in_the_stream() -> None:
    stream = TakingStream()
    answers = FaultyStream(stream, Faults({Fault.PUT_REFUSED: 0.5}, seed=3)).put(records(200))
    taken = [record for record, error in zip(records(200), answers, strict=True) if not error]
    assert stream.taken == taken
    assert 60 < len(taken) < 140


def test_a_lost_call_puts_nothing_and_a_timed_out_one_everything() -> None:
    lost, timed_out = TakingStream(), TakingStream()
    assert all(FaultyStream(lost, always(Fault.PUT_LOST)).put(records(3)))
    assert lost.taken == []
    assert all(FaultyStream(timed_out, always(Fault.PUT_TIMED_OUT_AFTER)).put(records(3)))
    assert timed_out.taken == records(3)


def test_a_record_refused_for_good_is_refused_until_faults_end() -> None:
    stream, faults = TakingStream(), Faults({Fault.PUT_REFUSED_FOR_GOOD: 0.0}, seed=1)
    faulty = FaultyStream(stream, faults)
    assert faulty.put(records(3)) == [None] * 3
    assert [bool(error) for error in faulty.put(records(3))] == [False, False, True]
    assert all(faulty.put(records(3)[2:]))
    faults.stop()
    assert faulty.put(records(3)[2:]) == [None]


@pytest.mark.parametrize(
    ("fault", "error", "is_written"),
    [
        (Fault.STATE_WRITE_THROTTLED, RetryableError, False),
        (Fault.STATE_CONFLICT, StateConflictError, False),
        (Fault.STATE_ANSWER_LOST, StateConflictError, True),
    ],
)
def test_a_state_write_fails_before_or_after_the_write(fault: Fault, error: type[Exception], is_written: bool) -> None:
    table = FakeStateTable()
    with pytest.raises(error):
        FaultyStateStore(table, always(fault)).put(new_state(STATE, (2,)), None)
    assert (KEY in table.held) is is_written


def test_a_state_read_is_throttled() -> None:
    with pytest.raises(RetryableError):
        FaultyStateStore(FakeStateTable(), always(Fault.STATE_READ_THROTTLED)).read_once([KEY])


@pytest.mark.parametrize(
    ("fault", "objects"), [(Fault.STORE_FAILED_BEFORE, {}), (Fault.STORE_FAILED_AFTER, {"key": b"body"})]
)
def test_a_store_fails_before_or_after_the_write(fault: Fault, objects: Mapping[str, bytes]) -> None:
    store = FakeObjectStore()
    with pytest.raises(ClientError, match="SlowDown"):
        FaultyRawStore(store, always(fault)).put_if_absent("key", b"body")
    assert store.objects == objects


def test_a_queue_takes_half_and_fails() -> None:
    queue = FakeQueue()
    with pytest.raises(RetryableError):
        FaultyQueue(queue, always(Fault.QUEUE_SENT_HALF)).send([b"one", b"two", b"three"])
    assert queue.documents == [b"one"]


def test_a_function_crashes_before_or_times_out_after_its_work() -> None:
    calls: list[Any] = []

    def handler(event: Any, _context: Any) -> Any:
        calls.append(event)
        return {}

    with pytest.raises(MemoryError):
        FaultyFunction(handler, always(Fault.FUNCTION_CRASHED))(EVENT, None)
    assert calls == []
    with pytest.raises(FunctionTimedOutError):
        FaultyFunction(handler, always(Fault.FUNCTION_TIMED_OUT_AFTER))(EVENT, None)
    assert calls == [EVENT]


def test_a_poisoned_record_fails_exactly_the_batches_it_is_in() -> None:
    function = FaultyFunction(lambda event, context: {}, Faults({Fault.FUNCTION_POISONED: 0.0}, seed=1))
    assert function(EVENT, None) == {}
    for _ in range(3):
        with pytest.raises(MemoryError):
            function(EVENT, None)
    assert function({"Records": EVENT["Records"][:1]}, None) == {}
    with pytest.raises(MemoryError):
        function({"Records": EVENT["Records"][1:]}, None)
