"""Settings of an event source mapping, and its decisions: which records are done, retried, split, given up.

Pure: values in, plans out, which `shard_consumer` performs. The rules are AWS's ("Using Lambda to process records from
Kinesis", "Configuring partial batch response with Kinesis Data Streams and Lambda").
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from stock_pipeline.errors import SettingsError
from stock_pipeline.local.event_source.function_runtime import Invocation
from stock_pipeline.local.event_source.shard_record import EMPTY_EVENT_BYTES, ShardRecord

MAX_EVENT_BYTES = 6 * 2**20
"""Lambda's limit for one synchronous invocation."""

UNLIMITED = -1
REPORT_BATCH_ITEM_FAILURES = "ReportBatchItemFailures"
EMPTY_RESPONSES: tuple[object, ...] = (None, "", {}, [])


class Condition(StrEnum):
    """Reason for giving up, as on-failure messages name it."""

    RETRY_ATTEMPTS_EXHAUSTED = "RetryAttemptsExhausted"
    RECORD_AGE_EXCEEDED = "RecordAgeExceeded"


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """Settings under Terraform's names for `aws_lambda_event_source_mapping`. -1 is unlimited."""

    batch_size: int
    maximum_batching_window_in_seconds: int
    parallelization_factor: int
    bisect_batch_on_function_error: bool
    maximum_retry_attempts: int
    maximum_record_age_in_seconds: int
    starting_position: str
    function_response_types: tuple[str, ...]

    def __post_init__(self) -> None:
        _within("batch_size", self.batch_size, 1, 10_000)
        _within("maximum_batching_window_in_seconds", self.maximum_batching_window_in_seconds, 0, 300)
        _within("parallelization_factor", self.parallelization_factor, 1, 10)
        _within("maximum_retry_attempts", self.maximum_retry_attempts, UNLIMITED, 10_000)
        if self.maximum_record_age_in_seconds != UNLIMITED:
            _within("maximum_record_age_in_seconds", self.maximum_record_age_in_seconds, 60, 604_800)
        if type(self.bisect_batch_on_function_error) is not bool:
            raise SettingsError("bisect_batch_on_function_error takes true or false")
        if self.starting_position not in ("TRIM_HORIZON", "LATEST"):
            raise SettingsError("starting_position takes TRIM_HORIZON or LATEST")
        if not set(self.function_response_types) <= {REPORT_BATCH_ITEM_FAILURES}:
            raise SettingsError(f"function_response_types takes [] or [{REPORT_BATCH_ITEM_FAILURES!r}]")

    @classmethod
    def from_json(cls, text: str) -> "EventSourceMapping":
        """Read the file that Terraform reads too. Other keys are errors, so that neither reader misses one."""
        expected = {field.name for field in fields(cls)}
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SettingsError(f"the event source mapping is not JSON: {error}") from None
        if not isinstance(values, dict) or set(values) != expected:
            raise SettingsError(f"the event source mapping takes exactly {', '.join(sorted(expected))}")
        if not isinstance(values["function_response_types"], list):
            raise SettingsError("function_response_types takes a list")
        return cls(**values | {"function_response_types": tuple(values["function_response_types"])})

    @property
    def reports_item_failures(self) -> bool:
        return REPORT_BATCH_ITEM_FAILURES in self.function_response_types

    @property
    def batching_window(self) -> timedelta:
        return timedelta(seconds=self.maximum_batching_window_in_seconds)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that go to the function together.

    retries_used, invocations: include those of the larger batch that was split.
    """

    records: tuple[ShardRecord, ...]
    retries_used: int = 0
    invocations: int = 0
    last_invocation: Invocation | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """Content of a response: the first `done` records are done, or the whole batch failed."""

    done: int
    batch_failed: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Parts of a batch after an invocation. Every record is in exactly one."""

    done: tuple[ShardRecord, ...] = ()
    again: tuple[Batch, ...] = ()
    given_up: Batch | None = None


def lane_number(mapping: EventSourceMapping, partition_key: str) -> int:
    """Return the lane of a key: always the same, to keep the key's order."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[-8:], "big") % mapping.parallelization_factor


def first_batch(mapping: EventSourceMapping, records: tuple[ShardRecord, ...]) -> tuple[ShardRecord, ...]:
    """Return the longest beginning that one invocation takes, but at least one record."""
    size = EMPTY_EVENT_BYTES - 1
    for count, record in enumerate(records[: mapping.batch_size]):
        size += record.event_bytes + 1
        if size > MAX_EVENT_BYTES and count:
            return records[:count]
    return records[: mapping.batch_size]


def is_full(mapping: EventSourceMapping, records: tuple[ShardRecord, ...]) -> bool:
    """Return whether waiting for records can't enlarge the next batch."""
    return len(records) >= mapping.batch_size or len(first_batch(mapping, records)) < len(records)


def read_answer(mapping: EventSourceMapping, batch: Batch, invocation: Invocation) -> BatchAnswer:
    """Read the response as AWS does. An object without `batchItemFailures` is a success."""
    everything = BatchAnswer(len(batch.records), batch_failed=False)
    if invocation.function_error is not None:
        return BatchAnswer(0, batch_failed=True)
    if not mapping.reports_item_failures or invocation.response in EMPTY_RESPONSES:
        return everything
    if not isinstance(invocation.response, dict):
        return BatchAnswer(0, batch_failed=True)
    items = invocation.response.get("batchItemFailures")
    if items is None or items == []:
        return everything
    places = {record.sequence_number: place for place, record in enumerate(batch.records)}
    reported = [_reported_place(item, places) for item in items] if isinstance(items, list) else [None]
    known = [place for place in reported if place is not None]
    if len(known) < len(reported):
        return BatchAnswer(0, batch_failed=True)
    return BatchAnswer(min(known), batch_failed=False)


def plan_after(mapping: EventSourceMapping, batch: Batch, invocation: Invocation) -> Plan:
    """Decide what becomes of each record.

    Splitting uses up no retry; the same failure at the same first record does.
    """
    answer = read_answer(mapping, batch, invocation)
    done, left = batch.records[: answer.done], batch.records[answer.done :]
    if not left:
        return Plan(done)
    failed = replace(batch, records=left, invocations=batch.invocations + 1, last_invocation=invocation)
    if mapping.bisect_batch_on_function_error and answer.batch_failed and len(left) > 1:
        middle = (len(left) + 1) // 2
        return Plan(again=(replace(failed, records=left[:middle]), replace(failed, records=left[middle:])))
    if mapping.bisect_batch_on_function_error and done:
        return Plan(done, again=(failed,))
    if batch.retries_used == mapping.maximum_retry_attempts:
        return Plan(done, given_up=failed)
    return Plan(done, again=(replace(failed, retries_used=batch.retries_used + 1),))


def expired_records(mapping: EventSourceMapping, batch: Batch, now: datetime) -> int:
    """Count the leading records that are older than the mapping allows."""
    if mapping.maximum_record_age_in_seconds == UNLIMITED:
        return 0
    oldest = now - timedelta(seconds=mapping.maximum_record_age_in_seconds)
    young = (place for place, record in enumerate(batch.records) if record.arrived_at >= oldest)
    return next(young, len(batch.records))


def _reported_place(item: object, places: Mapping[str, int]) -> int | None:
    identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
    return places.get(identifier) if isinstance(identifier, str) else None


def _within(name: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise SettingsError(f"{name} is {value!r}, which can't be used: it takes {low} to {high}")
