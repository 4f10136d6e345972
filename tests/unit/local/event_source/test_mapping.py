"""The settings of an event source mapping: those of the pipeline, and those that AWS would refuse."""

import json
from typing import Any

import pytest

from stock_pipeline.errors import SettingsError
from stock_pipeline.local.event_source.mapping import EventSourceMapping
from tests.support.stream_batches import MAPPING, MAPPING_FILE


def test_the_settings_file_says_what_the_pipeline_promises() -> None:
    assert (
        EventSourceMapping(
            batch_size=100,
            maximum_batching_window_in_seconds=5,
            parallelization_factor=1,
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=5,
            maximum_record_age_in_seconds=23 * 3600,
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
    with pytest.raises(SettingsError, match="not JSON"):
        EventSourceMapping.from_json("batch_size = 100")
