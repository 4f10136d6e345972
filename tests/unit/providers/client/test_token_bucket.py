import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.providers.client.token_bucket import NoTimeLeftError, TokenBucket
from stock_pipeline.providers.finnhub import BURST_CALLS, REFILL_PER_MINUTE
from tests.support.clock import SECOND, START_NS, Clock

FAR = START_NS + 10**6 * SECOND


@given(
    capacity=st.integers(1, 60),
    refill=st.integers(1, 300),
    pauses=st.lists(st.floats(0, 40, allow_nan=False), min_size=20, max_size=150),
)
def test_no_minute_sees_more_calls_than_capacity_and_refill(capacity: int, refill: int, pauses: list[float]) -> None:
    clock = Clock()
    bucket = TokenBucket(capacity, refill, clock.now_ns, clock.wait)
    calls = []
    for pause in pauses:
        clock.ns += int(pause * SECOND) if pause > 20 else 0
        bucket.acquire(FAR)
        calls.append(clock.ns)
    for call in calls:
        assert sum(call <= other < call + 60 * SECOND for other in calls) <= capacity + refill


def test_finnhubs_budget_keeps_both_its_limits(clock: Clock) -> None:
    bucket = TokenBucket(BURST_CALLS, REFILL_PER_MINUTE, clock.now_ns, clock.wait)
    calls = []
    for _ in range(200):
        bucket.acquire(FAR)
        calls.append(clock.ns)
    assert max(sum(call <= other < call + 60 * SECOND for other in calls) for call in calls) <= 60
    assert max(sum(call <= other < call + SECOND for other in calls) for call in calls) <= 30


def test_an_idle_bucket_lets_its_capacity_through_at_once(clock: Clock) -> None:
    bucket = TokenBucket(3, 60, clock.now_ns, clock.wait)
    assert [bucket.acquire(FAR) for _ in range(5)] == [0, 0, 0, 1, 1]
    clock.ns += 3600 * SECOND
    assert [bucket.acquire(FAR) for _ in range(4)] == [0, 0, 0, 1]


def test_a_token_after_the_deadline_is_refused_and_not_taken(clock: Clock) -> None:
    bucket = TokenBucket(1, 60, clock.now_ns, clock.wait)
    bucket.acquire(FAR)
    for _ in range(3):
        with pytest.raises(NoTimeLeftError, match="after the deadline"):
            bucket.acquire(clock.ns + SECOND)
    assert clock.waits == []
    assert bucket.acquire(clock.ns + SECOND + 1) == 1


def test_a_hold_stops_every_call_until_its_end(clock: Clock) -> None:
    bucket = TokenBucket(5, 60, clock.now_ns, clock.wait)
    bucket.pause_until(clock.ns + 7 * SECOND)
    bucket.pause_until(clock.ns + 2 * SECOND)
    assert [bucket.acquire(FAR) for _ in range(2)] == [7, 0]


def test_threads_share_the_budget(clock: Clock) -> None:
    waits: list[float] = []
    lock = threading.Lock()

    def note(seconds: float) -> None:
        with lock:
            waits.append(seconds)

    bucket = TokenBucket(10, 60, clock.now_ns, note)
    threads = [threading.Thread(target=bucket.acquire, args=(FAR,)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [float(n) for n in range(1, 21)]


@pytest.mark.parametrize(("capacity", "refill"), [(0, 60), (1, 0)])
def test_a_bucket_that_never_lets_through_is_refused(clock: Clock, capacity: int, refill: int) -> None:
    with pytest.raises(ValueError, match="never lets a call through"):
        TokenBucket(capacity, refill, clock.now_ns, clock.wait)
