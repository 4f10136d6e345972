"""The poller on a stream in memory: order, checkpoint, retries, destination, resharding, crashes."""

import base64
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.local import event_source_poller
from stock_pipeline.local.event_source_mapping import (
    Batch,
    Condition,
    EventSourceMapping,
    Plan,
    lane_number,
)
from stock_pipeline.local.event_source_poller import (
    EventSourcePoller,
    NotDrainedError,
    Shard,
    mapping_uuid,
    readable,
)
from stock_pipeline.local.failure_destination import FailedBatch
from stock_pipeline.local.function_runtime import FunctionTimedOutError, LocalFunction
from stock_pipeline.local.poller_observer import SilentObserver
from stock_pipeline.local.shard_consumer import MAX_UNFINISHED_RECORDS, Wiring
from stock_pipeline.local.shard_lane import Backoff
from stock_pipeline.local.stream_record import EventSource
from tests.fakes.kinesis import STREAM_ARN, FakeKinesis
from tests.fakes.surroundings import START, SteppedTime

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:processor"
MAPPING = EventSourceMapping.from_json((Path(__file__).parents[2] / "infra/event_source_mapping.json").read_text())
UUID = mapping_uuid(STREAM_ARN, FUNCTION_ARN)


class SimulatedCrash(BaseException):
    """The process ends in the middle of the handler."""


@dataclass
class FakeDestination:
    """Keeps what it gets; `failing` deliveries fail first."""

    failing: int = 0
    failed: list[FailedBatch] = field(default_factory=list)

    def deliver(self, failed: FailedBatch) -> None:
        if self.failing:
            self.failing -= 1
            raise ConnectionError("no bucket")
        self.failed.append(failed)

    @property
    def data(self) -> list[list[str]]:
        return [[record.data.decode() for record in failed.batch.records] for failed in self.failed]


class Checkpoints(dict[str, str]):
    """Checkpoints that only move forward."""

    def __setitem__(self, shard_id: str, sequence_number: str) -> None:
        assert int(sequence_number) > int(self.get(shard_id, "0"))
        super().__setitem__(shard_id, sequence_number)


Answer = Callable[[list[str]], Any]


@dataclass
class Scene:
    """A poller with everything around it. `answer` is the handler, which gets the records' data as text."""

    answer: Answer = lambda texts: None
    mapping: EventSourceMapping = MAPPING
    time: SteppedTime = field(default_factory=SteppedTime)
    shards: int = 1
    destination: FakeDestination = field(default_factory=FakeDestination)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    observer: SilentObserver = field(default_factory=SilentObserver)
    batches: list[list[str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kinesis = FakeKinesis(self.shards, self.time.now)
        self.sequence_numbers: dict[str, str] = {}
        self.poller = self.new_poller()

    def new_poller(self) -> EventSourcePoller:
        return EventSourcePoller(
            Wiring(
                kinesis=self.kinesis,
                function=LocalFunction(self._handle, FUNCTION_ARN),
                destination=self.destination,
                mapping=self.mapping,
                source=EventSource(STREAM_ARN, "arn:aws:iam::123456789012:role/lambda-role"),
                mapping_uuid=UUID,
                surroundings=self.time.surroundings(),
                checkpoints=self.checkpoints,
                backoff=Backoff(1, 60),
                observer=self.observer,
            )
        )

    def put(self, *texts: str, key: str = "k") -> None:
        for text in texts:
            _, self.sequence_numbers[text] = self.kinesis.put(key, text.encode())

    def failing(self, *texts: str) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": self.sequence_numbers[text]} for text in texts]}

    def _handle(self, event: dict[str, Any], context: Any) -> Any:
        texts = [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]
        self.batches.append(texts)
        self.times.append((self.time.now() - START).total_seconds())
        return self.answer(texts)


def with_mapping(**changes: Any) -> EventSourceMapping:
    return replace(MAPPING, **changes)


def fail_if(bad: str) -> Answer:
    def answer(texts: list[str]) -> None:
        if bad in texts:
            raise ValueError(f"{bad} is bad")

    return answer


# Batches and the window


def test_records_are_delivered_in_batches_in_order_and_the_checkpoint_follows() -> None:
    scene = Scene(mapping=with_mapping(batch_size=3))
    scene.put(*"abcdefg")
    counts = scene.poller.run_until_idle()
    assert scene.batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert scene.checkpoints == {"shardId-000000000000": scene.sequence_numbers["g"]}
    assert counts.records_delivered == 7
    assert counts.invocations == 3


def test_draining_waits_for_nothing_when_nothing_fails() -> None:
    scene = Scene()
    scene.put("a")
    scene.poller.run_until_idle()
    scene.put("b")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]
    assert scene.time.waits == []


def test_a_batch_that_is_not_full_waits_for_its_window() -> None:
    scene = Scene()
    scene.put("a")
    scene.poller.poll_once()
    scene.time.pass_by(4.9)
    scene.put("b")
    poll = scene.poller.poll_once()
    assert scene.batches == []
    assert not poll.is_idle
    assert poll.next_due_at == START + timedelta(seconds=5)
    scene.time.pass_by(0.1)
    scene.poller.poll_once()
    assert scene.batches == [["a", "b"]]


def test_a_full_batch_does_not_wait() -> None:
    scene = Scene(mapping=with_mapping(batch_size=2))
    scene.put("a", "b", "c")
    scene.poller.poll_once()
    scene.poller.poll_once()
    assert scene.batches == [["a", "b"]]


def test_draining_can_wait_for_windows_as_aws_would() -> None:
    scene = Scene()
    scene.put("a")
    scene.poller.run_until_idle(close_windows=False)
    assert scene.batches == [["a"]]
    assert scene.times == [5.0]


def test_without_a_window_records_go_at_once() -> None:
    scene = Scene(mapping=with_mapping(maximum_batching_window_in_seconds=0))
    scene.put("a")
    scene.poller.poll_once()
    assert scene.batches == [["a"]]


def test_a_batch_ends_before_its_event_is_too_large() -> None:
    scene = Scene()
    scene.put(*(letter * 2**20 for letter in "abcde"))
    scene.poller.run_until_idle()
    assert [len(batch) for batch in scene.batches] == [4, 1]


def test_a_record_that_no_invocation_can_take_goes_to_the_destination() -> None:
    scene = Scene()
    scene.put("a")
    scene.put("x" * 6 * 2**20)
    scene.put("b")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]
    assert [len(texts) for texts in scene.destination.data] == [1]
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["b"]


def test_an_empty_stream_is_idle_and_calls_nothing() -> None:
    scene = Scene()
    assert scene.poller.poll_once().is_idle
    assert scene.batches == []
    assert scene.checkpoints == {}


def test_records_that_come_while_the_function_runs_are_drained_too() -> None:
    scene = Scene()
    scene.answer = lambda texts: scene.put("b") if texts == ["a"] else None
    scene.put("a")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]


# Failures


def test_a_bad_record_is_isolated_by_splitting_and_only_it_reaches_the_destination() -> None:
    scene = Scene(fail_if("f"))
    scene.put(*"abcdefgh")
    counts = scene.poller.run_until_idle()
    assert scene.destination.data == [["f"]]
    (failed,) = scene.destination.failed
    assert failed.condition is Condition.RETRY_ATTEMPTS_EXHAUSTED
    assert failed.batch.last_invocation is not None
    assert failed.batch.last_invocation.function_error == "Unhandled"
    assert failed.request_id == failed.batch.last_invocation.request_id
    # 8, 4, 2 records, then the record alone: the first try and five retries
    assert scene.batches.count(["f"]) == 6
    assert failed.batch.invocations == 3 + 6
    assert counts.records_delivered == 7
    assert counts.records_sent_to_destination == counts.messages_sent_to_destination == 1
    assert counts.function_errors == 9
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["h"]


def test_halves_keep_the_order_of_the_batch() -> None:
    scene = Scene(fail_if("a"), mapping=with_mapping(maximum_retry_attempts=0))
    scene.put(*"abcd")
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b", "c", "d"], ["a", "b"], ["a"], ["b"], ["c", "d"]]


def test_retries_wait_twice_as_long_each_time() -> None:
    scene = Scene(fail_if("a"))
    scene.put("a")
    scene.poller.run_until_idle()
    # without chance half of 1, 2, 4, 8 and 16 seconds
    assert scene.times == [0, 0.5, 1.5, 3.5, 7.5, 15.5]


def test_a_partial_response_keeps_what_is_done_and_moves_the_checkpoint() -> None:
    scene = Scene()
    scene.put(*"abcd")
    scene.answer = lambda texts: scene.failing("d", "c") if "a" in texts else None
    poll = scene.poller.poll_once()
    poll = scene.poller.poll_once(close_windows=True)
    assert not poll.is_idle
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["b"]
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b", "c", "d"], ["c", "d"]]
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["d"]


def test_a_record_that_is_always_reported_reaches_the_destination_and_frees_the_shard() -> None:
    scene = Scene()
    scene.put(*"abc")
    scene.answer = lambda texts: scene.failing("b") if "b" in texts else None
    scene.poller.run_until_idle()
    scene.put("d")
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b", "c"]] + 6 * [["b", "c"]] + [["d"]]
    assert scene.destination.data == [["b", "c"]]
    last = scene.destination.failed[0].batch.last_invocation
    assert last is not None
    assert last.function_error is None


def test_a_response_about_an_unknown_record_fails_the_whole_batch() -> None:
    scene = Scene(mapping=with_mapping(bisect_batch_on_function_error=False, maximum_retry_attempts=1))
    scene.put("a", "b")
    scene.answer = lambda texts: {"batchItemFailures": [{"itemIdentifier": "1"}]}
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b"], ["a", "b"]]
    assert scene.destination.data == [["a", "b"]]


def test_a_time_out_is_a_function_error() -> None:
    def answer(texts: list[str]) -> None:
        raise FunctionTimedOutError("Task timed out after 60.00 seconds")

    scene = Scene(answer, mapping=with_mapping(maximum_retry_attempts=0))
    scene.put("a")
    scene.poller.run_until_idle()
    assert scene.destination.data == [["a"]]


def test_an_answer_after_the_deadline_is_a_time_out() -> None:
    scene = Scene(mapping=with_mapping(maximum_retry_attempts=0))
    scene.answer = lambda texts: scene.time.pass_by(61)
    scene.put("a")
    assert scene.poller.run_until_idle().function_errors == 1
    assert scene.destination.data == [["a"]]


def test_records_that_are_too_old_go_to_the_destination_without_their_younger_neighbours() -> None:
    scene = Scene()
    scene.put("a", "b")
    scene.time.pass_by(3601)
    scene.put("c")
    scene.poller.run_until_idle()
    assert scene.batches == [["c"]]
    assert scene.destination.data == [["a", "b"]]
    (failed,) = scene.destination.failed
    assert failed.condition is Condition.RECORD_AGE_EXCEEDED
    assert failed.batch.invocations == 0


def test_a_record_that_grows_too_old_between_retries_is_given_up() -> None:
    mapping = with_mapping(maximum_retry_attempts=-1, maximum_record_age_in_seconds=60)
    scene = Scene(fail_if("a"), mapping=mapping)
    scene.put("a")
    scene.poller.run_until_idle()
    (failed,) = scene.destination.failed
    assert failed.condition is Condition.RECORD_AGE_EXCEEDED
    assert failed.batch.invocations == len(scene.batches) > 1
    assert failed.batch.last_invocation is not None
    assert failed.request_id == failed.batch.last_invocation.request_id


# The destination


def test_a_destination_that_fails_gets_the_same_message_again_and_the_checkpoint_waits_for_it() -> None:
    scene = Scene(fail_if("a"), mapping=with_mapping(maximum_retry_attempts=0))
    scene.destination.failing = 3
    scene.put("a")
    scene.poller.poll_once()
    for _ in range(3):
        scene.poller.poll_once(close_windows=True)
    assert scene.checkpoints == {}
    counts = scene.poller.run_until_idle()
    assert scene.destination.data == [["a"]]
    assert scene.batches == [["a"]]
    assert counts.messages_sent_to_destination == 1
    assert counts.troubles == 1 + 3
    assert scene.checkpoints == {"shardId-000000000000": scene.sequence_numbers["a"]}


def test_draining_with_a_time_out_does_not_wait_for_ever() -> None:
    scene = Scene(fail_if("a"), mapping=with_mapping(maximum_retry_attempts=0))
    scene.destination.failing = 10**9
    scene.put("a")
    with pytest.raises(NotDrainedError, match="120 seconds"):
        scene.poller.run_until_idle(timeout_seconds=120)
    assert scene.checkpoints == {}


# Lanes


def keys_of_lanes(mapping: EventSourceMapping) -> dict[int, str]:
    return {lane_number(mapping, str(bucket)): str(bucket) for bucket in range(200)}


def test_a_failing_lane_holds_back_its_own_keys_and_the_checkpoint_only() -> None:
    mapping = with_mapping(parallelization_factor=2, maximum_batching_window_in_seconds=0)
    keys = keys_of_lanes(mapping)
    scene = Scene(fail_if("a"), mapping=mapping)
    scene.put("a", key=keys[0])
    scene.put("b", "c", key=keys[1])
    scene.put("d", key=keys[0])
    scene.poller.poll_once()
    assert scene.batches == [["a", "d"], ["b", "c"]]
    assert scene.checkpoints == {}
    scene.put("e", key=keys[1])
    scene.poller.poll_once()
    assert scene.batches[2:] == [["e"]]
    scene.poller.run_until_idle()
    assert scene.destination.data == [["a"]]
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["e"]


def test_windows_are_closed_at_the_tip_and_not_at_a_page_that_only_seems_to_be_the_last() -> None:
    mapping = with_mapping(parallelization_factor=2, batch_size=2)
    keys = keys_of_lanes(mapping)
    scene = Scene(mapping=mapping)
    scene.put("a", key=keys[0])
    scene.put(*map(str, range(19)), key=keys[1])
    scene.put("b", key=keys[0])
    scene.poller.run_until_idle()
    assert ["a", "b"] in scene.batches


def test_reading_ahead_of_a_slow_lane_has_a_bound() -> None:
    mapping = with_mapping(
        parallelization_factor=2, maximum_batching_window_in_seconds=0, batch_size=1000, maximum_retry_attempts=-1
    )
    keys = keys_of_lanes(mapping)
    scene = Scene(fail_if("a"), mapping=mapping)
    scene.put("a", key=keys[0])
    scene.put(*map(str, range(2 * MAX_UNFINISHED_RECORDS)), key=keys[1])
    for _ in range(100):
        scene.poller.poll_once()
    delivered = sum(len(batch) for batch in scene.batches if "a" not in batch)
    assert MAX_UNFINISHED_RECORDS - 1 <= delivered < 2 * MAX_UNFINISHED_RECORDS


# Shards


def test_several_shards_are_read_and_one_that_fails_does_not_block_the_others() -> None:
    scene = Scene(shards=4, mapping=with_mapping(maximum_batching_window_in_seconds=0))
    for number in range(40):
        scene.put(f"{number}", key=str(number))
    first = scene.kinesis.shards["shardId-000000000000"].records[0]["Data"].decode()
    scene.answer = fail_if(first)
    scene.poller.poll_once()
    done = {text for batch in scene.batches for text in batch}
    assert len(done) == 40
    assert sorted(scene.checkpoints) == [f"shardId-{number:012}" for number in (1, 2, 3)]
    scene.poller.run_until_idle()
    assert scene.destination.data == [[first]]


def test_a_listing_of_many_pages_is_read_to_its_end() -> None:
    scene = Scene(shards=5)
    scene.kinesis.shards_a_page = 2
    for number in range(50):
        scene.put(f"{number}", key=str(number))
    scene.poller.run_until_idle()
    assert len(scene.checkpoints) == 5


def test_children_wait_until_their_parent_is_drained() -> None:
    scene = Scene(mapping=with_mapping(maximum_batching_window_in_seconds=0))
    scene.put("a", "b")
    scene.answer = fail_if("b")
    scene.poller.poll_once()
    low, high = scene.kinesis.split_shard("shardId-000000000000")
    scene.put("c", "d")
    scene.time.pass_by(0.5)
    scene.poller.poll_once()
    assert scene.batches == [["a", "b"], ["a"]]
    scene.poller.run_until_idle()
    assert scene.destination.data == [["b"]]
    assert scene.batches[-1] == ["c", "d"]
    assert set(scene.checkpoints) - {"shardId-000000000000"} <= {low, high}


def test_a_merged_shard_waits_for_both_parents() -> None:
    scene = Scene(shards=2, mapping=with_mapping(maximum_batching_window_in_seconds=0, maximum_retry_attempts=2))
    for number in range(10):
        scene.put(f"{number}", key=str(number))
    ids = list(scene.kinesis.shards)
    last = scene.kinesis.shards[ids[1]].records[-1]["Data"].decode()
    scene.answer = fail_if(last)
    scene.poller.poll_once()
    scene.kinesis.merge_shards(*ids)
    scene.put("after")
    scene.poller.run_until_idle()
    assert scene.batches[-1] == ["after"]
    assert scene.destination.data == [[last]]


def test_resharding_over_generations_keeps_the_order_of_each_key() -> None:
    scene = Scene(shards=2, mapping=with_mapping(batch_size=3))
    expected: dict[str, list[str]] = defaultdict(list)
    for round_number in range(5):
        for number in range(20):
            key = str(number % 7)
            text = f"{key}:{round_number}-{number}"
            scene.put(text, key=key)
            expected[key].append(text)
        if round_number in (1, 3):
            scene.poller.poll_once()
        opened = [shard for shard in scene.kinesis.shards.values() if not shard.is_closed]
        if round_number % 2:
            low, high = sorted(opened, key=lambda shard: shard.first_hash_key)[:2]
            scene.kinesis.merge_shards(low.shard_id, high.shard_id)
        else:
            scene.kinesis.split_shard(opened[0].shard_id)
    scene.poller.run_until_idle()
    seen: dict[str, list[str]] = defaultdict(list)
    for batch in scene.batches:
        for text in batch:
            seen[text.split(":")[0]].append(text)
    assert seen == expected


def test_a_parent_that_is_no_longer_listed_holds_nobody_back() -> None:
    scene = Scene()
    scene.kinesis.split_shard("shardId-000000000000")
    scene.kinesis.forget_shard("shardId-000000000000")
    scene.put("a")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"]]


def test_readable_shards_are_those_without_an_undrained_parent() -> None:
    shards = [Shard("a"), Shard("b", frozenset({"a"})), Shard("c", frozenset({"b", "x"})), Shard("d")]
    assert [shard.shard_id for shard in readable(shards, set())] == ["a", "d"]
    assert [shard.shard_id for shard in readable(shards, {"a"})] == ["b", "d"]
    assert [shard.shard_id for shard in readable(shards, {"a", "b", "d"})] == ["c"]


def test_children_of_a_shard_that_was_idle_are_found() -> None:
    scene = Scene()
    scene.poller.run_until_idle()
    scene.kinesis.split_shard("shardId-000000000000")
    scene.put("a")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"]]


# Positions and reads


def test_latest_skips_what_was_there_but_nothing_that_comes_after() -> None:
    scene = Scene(mapping=with_mapping(starting_position="LATEST"))
    scene.put("before")
    scene.poller.poll_once()
    scene.put("a")
    scene.kinesis.split_shard("shardId-000000000000")
    scene.put("b")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]


def test_a_restart_at_latest_skips_nothing_of_shards_that_came_meanwhile() -> None:
    scene = Scene(mapping=with_mapping(starting_position="LATEST"))
    scene.poller.run_until_idle()
    scene.put("a")
    scene.poller.run_until_idle()
    scene.kinesis.split_shard("shardId-000000000000")
    scene.put("b")
    scene.poller = scene.new_poller()
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]


def test_latest_loses_nothing_when_its_iterator_expires() -> None:
    scene = Scene(mapping=with_mapping(starting_position="LATEST"))
    scene.put("before")
    scene.time.pass_by(1)
    scene.poller.poll_once()
    scene.time.pass_by(1)
    scene.put("a")
    scene.kinesis.fail_next_reads("ExpiredIteratorException")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"]]


def test_reading_goes_on_after_throttling_and_an_expired_iterator() -> None:
    scene = Scene(mapping=with_mapping(batch_size=1))
    scene.put(*map(str, range(12)))
    scene.kinesis.fail_next_reads("ProvisionedThroughputExceededException", "LimitExceededException")
    scene.poller.poll_once()
    assert scene.batches == []
    scene.poller.run_until_idle()
    scene.put("12")
    scene.kinesis.fail_next_reads("ExpiredIteratorException")
    scene.poller.run_until_idle()
    assert scene.batches == [[str(number)] for number in range(13)]
    assert sum(scene.time.waits) == pytest.approx(0.5 + 1 + 0.5)


def test_an_error_that_no_retry_mends_is_raised_when_stepping() -> None:
    scene = Scene()
    scene.kinesis.fail_next_reads("AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.poller.poll_once()


# Crashes


def test_a_crash_in_the_handler_leaves_the_checkpoint_where_it_was() -> None:
    scene = Scene(mapping=with_mapping(batch_size=2))
    scene.put(*"abcd")

    def answer(texts: list[str]) -> None:
        if "c" in texts and scene.batches.count(texts) == 1:
            raise SimulatedCrash

    scene.answer = answer
    with pytest.raises(SimulatedCrash):
        scene.poller.run_until_idle()
    assert scene.checkpoints == {"shardId-000000000000": scene.sequence_numbers["b"]}
    scene.poller = scene.new_poller()
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b"], ["c", "d"], ["c", "d"]]


def test_the_same_poller_goes_on_after_a_crash() -> None:
    scene = Scene()
    scene.put(*"ab")

    def answer(texts: list[str]) -> None:
        if len(scene.batches) == 1:
            raise SimulatedCrash

    scene.answer = answer
    with pytest.raises(SimulatedCrash):
        scene.poller.run_until_idle()
    assert scene.poller.run_until_idle().records_delivered == 2
    assert scene.batches == [["a", "b"], ["a", "b"]]


def test_a_restart_skips_parents_that_were_drained() -> None:
    scene = Scene()
    scene.put("a")
    scene.poller.run_until_idle()
    scene.kinesis.split_shard("shardId-000000000000")
    scene.put("b")
    scene.poller = scene.new_poller()
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]


# The observer


def test_the_observer_sees_every_record_on_its_way() -> None:
    class Journal(SilentObserver):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def batch_started(self, shard_id: str, batch: Batch) -> None:
            self.lines.append(f"started {len(batch.records)}")

        def batch_finished(self, shard_id: str, batch: Batch, plan: Plan) -> None:
            again = [len(each.records) for each in plan.again]
            self.lines.append(f"done {len(plan.done)} again {again} given up {plan.given_up is not None}")

        def sent_to_destination(self, failed: FailedBatch) -> None:
            self.lines.append(f"sent {failed.condition}")

        def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None:
            self.lines.append(f"{doing}: {error}")

    journal = Journal()
    scene = Scene(fail_if("b"), mapping=with_mapping(maximum_retry_attempts=0), observer=journal)
    scene.put("a", "b")
    counts = scene.poller.run_until_idle()
    assert journal.lines == [
        "started 2",
        "calling the function: b is bad",
        "done 0 again [1, 1] given up False",
        "started 1",
        "done 1 again [] given up False",
        "started 1",
        "calling the function: b is bad",
        "done 0 again [] given up True",
        "sent RetryAttemptsExhausted",
    ]
    assert (counts.records_delivered, counts.records_retried, counts.records_sent_to_destination) == (1, 2, 1)


# Running in threads


def run_in_thread(poller: EventSourcePoller, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=poller.run, args=(stop,))
    thread.start()
    return thread


def threaded_scene(**changes: Any) -> Scene:
    return Scene(mapping=with_mapping(maximum_batching_window_in_seconds=0, **changes), shards=3)


def test_running_delivers_everything_with_a_thread_a_shard_and_ends_on_stop() -> None:
    scene, stop, seen, lock = threaded_scene(parallelization_factor=4), threading.Event(), set[str](), threading.Lock()

    def answer(texts: list[str]) -> None:
        with lock:
            seen.update(texts)
            if len(seen) == 60:
                stop.set()

    scene.answer = answer
    for number in range(60):
        scene.put(str(number), key=str(number))
    thread = run_in_thread(scene.poller, stop)
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert len(seen) == 60
    assert scene.poller.counts.records_delivered == 60
    assert len(scene.checkpoints) == 3


def test_lanes_of_a_shard_run_at_the_same_time() -> None:
    mapping = with_mapping(maximum_batching_window_in_seconds=0, parallelization_factor=2)
    scene, stop = Scene(mapping=mapping), threading.Event()
    both = threading.Barrier(2, action=stop.set)

    def answer(texts: list[str]) -> None:
        both.wait(timeout=30)

    scene.answer = answer
    for key in keys_of_lanes(mapping).values():
        scene.put(f"in {key}", key=key)
    scene.poller.run(stop)
    assert sorted(map(len, scene.batches)) == [1, 1]
    assert scene.poller.counts.records_delivered == 2


def test_running_goes_on_with_the_children_of_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_source_poller, "IDLE_READ_SECONDS", 0.001)
    mapping = with_mapping(maximum_batching_window_in_seconds=0)
    scene, stop = Scene(mapping=mapping), threading.Event()

    def answer(texts: list[str]) -> None:
        if texts == ["a"]:
            scene.kinesis.split_shard("shardId-000000000000")
            scene.put("b")
        else:
            stop.set()

    scene.answer = answer
    scene.put("a")
    scene.poller.run(stop)
    assert scene.batches == [["a"], ["b"]]


def test_a_poller_can_be_stopped_and_run_again() -> None:
    scene, stop = threaded_scene(), threading.Event()
    scene.answer = lambda texts: stop.set()
    scene.put("a")
    scene.poller.run(stop)
    scene.put("b")
    stop.clear()
    scene.poller.run(stop)
    assert scene.batches == [["a"], ["b"]]


def test_a_crash_in_a_thread_ends_the_run_and_is_raised() -> None:
    scene, stop = threaded_scene(), threading.Event()

    def answer(texts: list[str]) -> None:
        raise SimulatedCrash

    scene.answer = answer
    scene.put("a")
    with pytest.raises(SimulatedCrash):
        scene.poller.run(stop)
    assert stop.is_set()
    assert scene.checkpoints == {}


def test_running_outlives_a_stream_that_can_not_be_read_for_a_while() -> None:
    stop = threading.Event()

    class Stopper(SilentObserver):
        def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None:
            stop.set()

    scene = Scene(observer=Stopper())
    scene.kinesis.fail_next_reads("AccessDeniedException")
    scene.poller.run(stop)
    assert scene.poller.counts.troubles == 1


# The law


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "mapping": with_mapping(
            batch_size=draw(st.integers(1, 5)),
            maximum_batching_window_in_seconds=draw(st.sampled_from([0, 5])),
            parallelization_factor=draw(st.integers(1, 3)),
            bisect_batch_on_function_error=draw(st.booleans()),
            maximum_retry_attempts=draw(st.integers(0, 3)),
            maximum_record_age_in_seconds=draw(st.sampled_from([-1, 60])),
            function_response_types=("ReportBatchItemFailures",) if draw(st.booleans()) else (),
        ),
        "shards": draw(st.integers(1, 2)),
        "keys": draw(st.lists(st.sampled_from("pqrs"), min_size=1, max_size=14)),
        "answers": draw(st.lists(st.sampled_from(["ok", "error", "report", "nonsense", "crash", "slow"]), max_size=25)),
        "split_after": draw(st.none() | st.integers(0, 13)),
        "failing_deliveries": draw(st.integers(0, 3)),
        "failing_reads": draw(st.lists(st.sampled_from(["ExpiredIteratorException", "InternalFailure"]), max_size=3)),
        "poll_between": draw(st.booleans()),
    }


@given(schedules(), st.data())
def test_every_record_is_handled_in_the_order_of_its_key_or_in_the_destination(
    schedule: dict[str, Any], data: st.DataObject
) -> None:
    ended: list[str] = []
    log: list[str] = []

    class Ended(SilentObserver):
        """What is done: handled for good, or in the destination."""

        def batch_finished(self, shard_id: str, batch: Batch, plan: Plan) -> None:
            ended.extend(record.data.decode() for record in plan.done)

        def sent_to_destination(self, failed: FailedBatch) -> None:
            ended.extend(record.data.decode() for record in failed.batch.records)

    scene = Scene(mapping=schedule["mapping"], shards=schedule["shards"], observer=Ended())
    scene.destination.failing = schedule["failing_deliveries"]
    scene.kinesis.fail_next_reads(*schedule["failing_reads"])
    answers = list(schedule["answers"])

    def answer(texts: list[str]) -> Any:
        log.extend(texts)
        match answers.pop(0) if answers else "ok":
            case "error":
                raise ValueError
            case "report":
                return scene.failing(*data.draw(st.lists(st.sampled_from(texts), min_size=1, max_size=2)))
            case "nonsense":
                return {"batchItemFailures": [{"itemIdentifier": None}]}
            case "crash":
                raise SimulatedCrash
            case "slow":
                scene.time.pass_by(61)

    def poll_through_crashes(poll: Callable[[EventSourcePoller], object]) -> None:
        while True:
            try:
                poll(scene.poller)
            except SimulatedCrash:
                scene.poller = scene.new_poller()
            else:
                break
            finally:
                assert_checkpoints_pass_nothing_unfinished(scene, set(ended))

    scene.answer = answer
    for number, key in enumerate(schedule["keys"]):
        scene.put(f"{key}{number}", key=key)
        if schedule["poll_between"]:
            poll_through_crashes(lambda poller: poller.poll_once(close_windows=True))
        if number == schedule["split_after"]:
            scene.kinesis.split_shard("shardId-000000000000")
    poll_through_crashes(lambda poller: poller.run_until_idle(timeout_seconds=100_000))

    assert set(ended) == {f"{key}{number}" for number, key in enumerate(schedule["keys"])}
    for key in "pqrs":
        of_key = list(dict.fromkeys(text for text in ended if text[0] == key))
        assert of_key == sorted(of_key, key=lambda text: int(text[1:]))
        first_seen = list(dict.fromkeys(text for text in log if text[0] == key))
        assert first_seen == sorted(first_seen, key=lambda text: int(text[1:]))


def assert_checkpoints_pass_nothing_unfinished(scene: Scene, ended: set[str]) -> None:
    for shard_id, checkpoint in scene.checkpoints.items():
        for record in scene.kinesis.shards[shard_id].records:
            if int(record["SequenceNumber"]) <= int(checkpoint):
                assert record["Data"].decode() in ended
