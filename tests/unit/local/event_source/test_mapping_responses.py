"""Answers of the function about its batch: all done, done up to a record, or failed."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.local.event_source.function_runtime import Invocation
from stock_pipeline.local.event_source.mapping import Plan, plan_after, read_answer
from tests.support.stream_batches import ERROR, MAPPING, batch_of, failing


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
def test_a_response_without_a_record_of_the_batch_fails_it_whole(response: Any) -> None:
    answer = read_answer(MAPPING, batch_of(3), Invocation("id", response))
    assert answer.batch_failed
    assert answer.done == 0


def test_without_report_batch_item_failures_answers_are_ignored() -> None:
    mapping = replace(MAPPING, function_response_types=())
    assert plan_after(mapping, batch_of(3), failing("101")) == Plan(done=batch_of(3).records)
    assert read_answer(mapping, batch_of(3), ERROR).batch_failed


@given(st.integers(1, 20), st.data())
def test_the_lowest_reported_record_is_the_checkpoint(size: int, data: st.DataObject) -> None:
    batch = batch_of(size)
    reported = data.draw(st.lists(st.sampled_from([r.sequence_number for r in batch.records]), min_size=1))
    answer = read_answer(MAPPING, batch, failing(*reported))
    assert not answer.batch_failed
    assert answer.done == min(map(int, reported)) - 100
