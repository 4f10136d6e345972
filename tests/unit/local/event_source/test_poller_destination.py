"""Records too large or too old go to the destination, and a failing destination is asked again."""

import pytest

from stock_pipeline.local.event_source.mapping import Condition
from stock_pipeline.local.event_source.poller import NotDrainedError
from tests.support.poller_scene import Scene, fail_if, with_mapping


def test_a_record_too_large_for_a_call_goes_to_the_destination(scene: Scene) -> None:
    scene.put("a")
    scene.put("x" * 6 * 2**20)
    scene.put("b")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]
    assert [len(texts) for texts in scene.destination.data] == [1]
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["b"]


def test_only_records_that_are_too_old_go_to_the_destination(scene: Scene) -> None:
    scene.put("a", "b")
    scene.clock.pass_by(23 * 3600 + 1)
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
    assert failed.request_id == scene.destination.last_invocation.request_id


def test_the_checkpoint_waits_for_a_failing_destination() -> None:
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
