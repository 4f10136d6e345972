"""The decisions of an event source mapping, without a stream: what is done, retried, split, given up."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.errors import SettingsError
from stock_pipeline.local.event_source_mapping import (
    MAX_EVENT_BYTES,
    Batch,
    EventSourceMapping,
    Plan,
    expired_records,
    first_batch,
    is_full,
    judge,
    lane_number,
    plan_after,
)
from stock_pipeline.local.function_runtime import UNHANDLED, Invocation, LambdaContext, LocalFunction
from stock_pipeline.local.shard_lane import Backoff
from stock_pipeline.local.stream_record import (
    EventSource,
    StreamRecord,
    event_bytes,
    event_json,
    kinesis_event,
    read_record,
)
from tests.fakes.kinesis import STREAM_ARN
from tests.fakes.surroundings import START, SteppedTime

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests/data/aws_events"
MAPPING_FILE = ROOT / "infra/event_source_mapping.json"
MAPPING = EventSourceMapping.from_json(MAPPING_FILE.read_text())
SOURCE = EventSource(STREAM_ARN, "arn:aws:iam::123456789012:role/lambda-role")
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:processor"


def record(number: int, key: str = "k", data: bytes = b"{}", age_seconds: float = 0) -> StreamRecord:
    return read_record(
        SOURCE,
        "shardId-000000000000",
        {
            "SequenceNumber": str(number),
            "PartitionKey": key,
            "Data": data,
            "ApproximateArrivalTimestamp": START - timedelta(seconds=age_seconds),
        },
    )


def batch_of(count: int, **changes: Any) -> Batch:
    return replace(Batch(tuple(record(n) for n in range(100, 100 + count))), **changes)


def failing(*identifiers: Any) -> Invocation:
    return Invocation("id", {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]})


ERROR = Invocation("id", function_error=UNHANDLED)
OK = Invocation("id", None)


def numbers(batches: tuple[Batch, ...]) -> list[list[int]]:
    return [[int(each.sequence_number) for each in batch.records] for batch in batches]


# The settings


def test_the_settings_file_says_what_the_pipeline_promises() -> None:
    assert (
        EventSourceMapping(
            batch_size=100,
            maximum_batching_window_in_seconds=5,
            parallelization_factor=1,
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=5,
            maximum_record_age_in_seconds=3600,
            starting_position="TRIM_HORIZON",
            function_response_types=("ReportBatchItemFailures",),
        )
        == MAPPING
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 10_001),
        ("batch_size", True),
        ("batch_size", "100"),
        ("maximum_batching_window_in_seconds", 301),
        ("parallelization_factor", 11),
        ("bisect_batch_on_function_error", 1),
        ("maximum_retry_attempts", -2),
        ("maximum_record_age_in_seconds", 59),
        ("starting_position", "AT_TIMESTAMP"),
        ("function_response_types", ["ReportBatchItemFailure"]),
        ("function_response_types", None),
    ],
)
def test_a_setting_that_aws_would_refuse_is_named(name: str, value: Any) -> None:
    values = json.loads(MAPPING_FILE.read_text()) | {name: value}
    with pytest.raises(SettingsError, match=name):
        EventSourceMapping.from_json(json.dumps(values))


@pytest.mark.parametrize("change", [{"batch_sise": 1}, {}])
def test_a_missing_or_unknown_setting_is_refused(change: dict[str, int]) -> None:
    values = json.loads(MAPPING_FILE.read_text())
    del values["batch_size"]
    with pytest.raises(SettingsError, match="takes exactly batch_size"):
        EventSourceMapping.from_json(json.dumps(values | change))


def test_settings_that_are_no_json_are_refused() -> None:
    with pytest.raises(SettingsError, match="no JSON"):
        EventSourceMapping.from_json("batch_size = 100")


# The event


def test_the_event_has_the_form_that_aws_sends() -> None:
    expected = json.loads((RECORDED / "kinesis_stream_event.json").read_text())
    source = EventSource(
        "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream",
        "arn:aws:iam::123456789012:role/lambda-role",
    )
    records = [
        read_record(source, "shardId-000000000006", answer)
        for answer in (
            {
                "SequenceNumber": "49590338271490256608559692538361571095921575989136588898",
                "PartitionKey": "1",
                "Data": b"Hello, this is a test.",
                "ApproximateArrivalTimestamp": START.fromisoformat("2018-12-17T22:10:50.987+00:00"),
            },
            {
                "SequenceNumber": "49590338271490256608559692540925702759324208523137515618",
                "PartitionKey": "1",
                "Data": b"This is only a test.",
                "ApproximateArrivalTimestamp": START.fromisoformat("2018-12-18T00:11:51.166+02:00"),
            },
        )
    ]
    assert kinesis_event(source, "shardId-000000000006", records) == expected


@given(st.lists(st.tuples(st.text(min_size=1, max_size=9), st.binary(max_size=40)), max_size=5))
def test_the_length_of_an_event_is_known_without_making_it(contents: list[tuple[str, bytes]]) -> None:
    records = [record(n, key, data) for n, (key, data) in enumerate(contents)]
    event = event_json(kinesis_event(SOURCE, "shardId-000000000000", records))
    assert event_bytes(records) == len(event.encode())


# Batches


def test_a_batch_ends_at_the_batch_size() -> None:
    records = tuple(record(n) for n in range(150))
    assert first_batch(MAPPING, records) == records[:100]
    assert is_full(MAPPING, records[:100])
    assert not is_full(MAPPING, records[:99])


def test_a_batch_ends_before_its_event_outgrows_what_lambda_takes() -> None:
    # 5 x 1 MiB is 6.67 MiB in base64
    records = tuple(record(n, data=b"x" * 2**20) for n in range(5))
    batch = first_batch(MAPPING, records)
    assert len(batch) == 4
    assert event_bytes(batch) <= MAX_EVENT_BYTES < event_bytes(records[:5])
    assert is_full(MAPPING, records)


def test_the_size_limit_is_exact() -> None:
    small = record(1)
    room = MAX_EVENT_BYTES - event_bytes([small]) - 1
    fits = replace(record(2), event_bytes=room)
    assert first_batch(MAPPING, (small, fits)) == (small, fits)
    assert first_batch(MAPPING, (small, replace(fits, event_bytes=room + 1))) == (small,)


def test_a_record_that_is_too_large_is_a_batch_of_its_own() -> None:
    giant = replace(record(1), event_bytes=MAX_EVENT_BYTES)
    assert first_batch(MAPPING, (giant, record(2))) == (giant,)


@given(st.text(min_size=1, max_size=256), st.integers(1, 10))
def test_a_partition_key_always_has_the_same_lane(key: str, factor: int) -> None:
    mapping = replace(MAPPING, parallelization_factor=factor)
    assert 0 <= lane_number(mapping, key) < factor
    assert lane_number(mapping, key) == lane_number(mapping, key)


def test_every_lane_gets_keys() -> None:
    mapping = replace(MAPPING, parallelization_factor=10)
    assert {lane_number(mapping, str(bucket)) for bucket in range(64)} == set(range(10))


# Responses


@pytest.mark.parametrize(
    "response",
    [None, "", {}, [], {"batchItemFailures": []}, {"batchItemFailures": None}, {"statusCode": 200}],
)
def test_an_empty_response_is_a_success(response: Any) -> None:
    assert plan_after(MAPPING, batch_of(3), Invocation("id", response)) == Plan(done=batch_of(3).records)


@pytest.mark.parametrize(
    "response",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"itemIdentifier": 101}]},
        {"batchItemFailures": [{"itemIdentifier": "999"}]},
        {"batchItemFailures": [{"itemIdentifier": "101"}, {"itemIdentifier": "999"}]},
        {"batchItemFailures": [{"ItemIdentifier": "101"}]},
        {"batchItemFailures": [{"sequenceNumber": "101"}]},
        {"batchItemFailures": [{}]},
        {"batchItemFailures": ["101"]},
        {"batchItemFailures": {"itemIdentifier": "101"}},
        {"batchItemFailures": "101"},
        "done",
        ["101"],
        1,
        True,
    ],
)
def test_a_response_that_names_no_record_of_the_batch_fails_the_whole_batch(response: Any) -> None:
    verdict = judge(MAPPING, batch_of(3), Invocation("id", response))
    assert verdict.batch_failed
    assert verdict.done == 0


def test_without_report_batch_item_failures_the_response_is_ignored() -> None:
    mapping = replace(MAPPING, function_response_types=())
    assert plan_after(mapping, batch_of(3), failing("101")) == Plan(done=batch_of(3).records)
    assert judge(mapping, batch_of(3), ERROR).batch_failed


@given(st.integers(1, 20), st.data())
def test_the_lowest_reported_record_is_the_checkpoint(size: int, data: st.DataObject) -> None:
    batch = batch_of(size)
    reported = data.draw(st.lists(st.sampled_from([r.sequence_number for r in batch.records]), min_size=1))
    verdict = judge(MAPPING, batch, failing(*reported))
    assert not verdict.batch_failed
    assert verdict.done == min(map(int, reported)) - 100


# Retries and splits


def test_a_function_error_splits_the_batch_without_using_up_a_retry() -> None:
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


def test_a_partial_response_splits_the_batch_at_the_reported_record() -> None:
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


def test_without_bisect_a_failed_batch_stays_whole_and_each_try_counts() -> None:
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


# Record age


def test_only_records_at_the_front_that_are_too_old_expire() -> None:
    ages = [3601, 3600.5, 3600, 10, 0]
    batch = Batch(tuple(record(n, age_seconds=age) for n, age in enumerate(ages)))
    assert expired_records(MAPPING, batch, START) == 2
    assert expired_records(MAPPING, batch, START + timedelta(hours=2)) == 5
    assert expired_records(replace(MAPPING, maximum_record_age_in_seconds=-1), batch, START) == 0


# Back-off


def test_back_off_doubles_up_to_its_cap() -> None:
    backoff = Backoff(first_seconds=1, cap_seconds=60)
    longest = [backoff.delay(failures, lambda: 1.0).total_seconds() for failures in (0, 1, 2, 5, 6, 10_000)]
    shortest = [backoff.delay(failures, lambda: 0.0).total_seconds() for failures in (0, 1, 2)]
    assert longest == [1, 2, 4, 32, 60, 60]
    assert shortest == [0.5, 1, 2]


# The function


def test_the_handler_gets_a_context_as_in_lambda() -> None:
    time = SteppedTime()
    seen: list[LambdaContext] = []

    def handler(event: Any, context: LambdaContext) -> None:
        time.pass_by(1.5)
        seen.append(context)

    invocation = LocalFunction(handler, FUNCTION_ARN, timeout_seconds=3).invoke({}, time.surroundings())
    (context,) = seen
    assert context.aws_request_id == invocation.request_id
    assert context.function_name == "processor"
    assert context.invoked_function_arn == FUNCTION_ARN
    assert context.memory_limit_in_mb == 512
    assert context.log_group_name == "/aws/lambda/processor"
    assert context.get_remaining_time_in_millis() == 1500
    time.pass_by(10)
    assert context.get_remaining_time_in_millis() == 0


def test_an_exception_a_late_answer_and_an_answer_that_is_no_json_are_function_errors() -> None:
    time = SteppedTime()

    def raises(event: Any, context: Any) -> None:
        raise KeyError("price")

    def is_late(event: Any, context: Any) -> None:
        time.pass_by(3.001)

    for handler in (raises, is_late, lambda event, context: {1, 2}, lambda event, context: float("nan")):
        invocation = LocalFunction(handler, FUNCTION_ARN, timeout_seconds=3).invoke({}, time.surroundings())
        assert invocation.function_error == "Unhandled"
        assert invocation.error is not None
