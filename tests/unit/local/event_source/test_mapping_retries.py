"""A batch that failed: split, tried again after a wait, or given up for its retries or its age."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.local.event_source.function_runtime import Invocation
from stock_pipeline.local.event_source.mapping import Batch, EventSourceMapping, expired_records, plan_after
from stock_pipeline.local.event_source.shard_consumer import BACK_OFF
from tests.support.clock import START
from tests.support.stream_batches import ERROR, MAPPING, OK, batch_of, failing, numbers, record


def test_a_function_error_splits_the_batch_without_a_retry() -> None:
    plan = plan_after(MAPPING, batch_of(5), ERROR)
    assert numbers(plan.again) == [[100, 101, 102], [103, 104]]
    assert [batch.retries_used for batch in plan.again] == [0, 0]
    assert [batch.invocations for batch in plan.again] == [1, 1]


def test_a_batch_is_split_even_when_no_retries_are_allowed() -> None:
    plan = plan_after(replace(MAPPING, maximum_retry_attempts=0), batch_of(2), ERROR)
    assert numbers(plan.again) == [[100], [101]]
    plan = plan_after(replace(MAPPING, maximum_retry_attempts=0), plan.again[0], ERROR)
    assert plan.again == ()
    assert plan.given_up is not None
    assert plan.given_up.invocations == 2


def test_a_partial_response_splits_the_batch_at_its_record() -> None:
    plan = plan_after(MAPPING, batch_of(5), failing("103"))
    assert [r.sequence_number for r in plan.done] == ["100", "101", "102"]
    assert numbers(plan.again) == [[103, 104]]
    assert plan.again[0].retries_used == 0


def test_a_record_that_keeps_being_reported_exhausts_the_retries() -> None:
    batch, invocations = batch_of(5), 0
    while True:
        plan = plan_after(MAPPING, batch, failing("102"))
        invocations += 1
        if plan.given_up:
            break
        (batch,) = plan.again
    # once to find it, then the first try and five retries
    assert invocations == 7
    assert numbers((plan.given_up,)) == [[102, 103, 104]]
    assert plan.given_up.last_invocation == failing("102")


def test_without_bisect_a_batch_stays_whole_and_each_try_counts() -> None:
    mapping = replace(MAPPING, bisect_batch_on_function_error=False, maximum_retry_attempts=1)
    plan = plan_after(mapping, batch_of(4), ERROR)
    assert numbers(plan.again) == [[100, 101, 102, 103]]
    assert plan.again[0].retries_used == 1
    plan = plan_after(mapping, plan.again[0], failing("102"))
    assert [r.sequence_number for r in plan.done] == ["100", "101"]
    assert plan.given_up is not None
    assert numbers((plan.given_up,)) == [[102, 103]]


def test_retries_without_limit_never_give_up() -> None:
    mapping = replace(MAPPING, maximum_retry_attempts=-1)
    plan = plan_after(mapping, batch_of(1, retries_used=10_000), ERROR)
    assert plan.given_up is None
    assert numbers(plan.again) == [[100]]


@st.composite
def invocations(draw: st.DrawFn, size: int) -> Invocation:
    identifiers = st.integers(98, 100 + size).map(str)
    return draw(
        st.one_of(st.just(OK), st.just(ERROR), st.lists(identifiers, max_size=3).map(lambda each: failing(*each)))
    )


mappings = st.builds(
    lambda bisect, retries, reports: replace(
        MAPPING,
        bisect_batch_on_function_error=bisect,
        maximum_retry_attempts=retries,
        function_response_types=("ReportBatchItemFailures",) if reports else (),
    ),
    st.booleans(),
    st.integers(-1, 3),
    st.booleans(),
)


@given(mappings, st.integers(1, 12), st.data())
def test_a_plan_keeps_every_record_once_and_in_order(
    mapping: EventSourceMapping, size: int, data: st.DataObject
) -> None:
    batch = batch_of(size, retries_used=data.draw(st.integers(0, 3)))
    plan = plan_after(mapping, batch, data.draw(invocations(size)))
    given_up = plan.given_up.records if plan.given_up else ()
    assert plan.done + sum((b.records for b in plan.again), ()) + given_up == batch.records
    assert not (plan.again and plan.given_up)


@given(mappings, st.integers(1, 12), st.data())
def test_a_plan_that_tries_again_has_less_left_or_fewer_retries(
    mapping: EventSourceMapping, size: int, data: st.DataObject
) -> None:
    batch = batch_of(size)
    for again in plan_after(mapping, batch, data.draw(invocations(size))).again:
        assert len(again.records) < size or again.retries_used == batch.retries_used + 1


def test_only_records_at_the_front_that_are_too_old_expire() -> None:
    limit = MAPPING.maximum_record_age_in_seconds
    ages = [limit + 1, limit + 0.5, limit, 10, 0]
    batch = Batch(tuple(record(n, age_seconds=age) for n, age in enumerate(ages)))
    assert expired_records(MAPPING, batch, START) == 2
    assert expired_records(MAPPING, batch, START + timedelta(seconds=2 * limit)) == 5
    assert expired_records(replace(MAPPING, maximum_record_age_in_seconds=-1), batch, START) == 0


def test_back_off_doubles_up_to_its_cap() -> None:
    longest = [BACK_OFF.seconds(failures, lambda: 1.0) for failures in (1, 2, 3, 6, 7, 10_001)]
    shortest = [BACK_OFF.seconds(failures, lambda: 0.0) for failures in (1, 2, 3)]
    assert longest == [1, 2, 4, 32, 60, 60]
    assert shortest == [0.5, 1, 2]
