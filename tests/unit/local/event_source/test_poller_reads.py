"""Where reading starts, and how it goes on after throttling, expired iterators and errors."""

import pytest
from botocore.exceptions import ClientError

from tests.support.poller_scene import Scene, with_mapping


def test_latest_skips_only_what_was_there() -> None:
    scene = Scene(mapping=with_mapping(starting_position="LATEST"))
    scene.put("before")
    scene.poller.poll_once()
    scene.put("a")
    scene.kinesis.split_shard("shardId-000000000000")
    scene.put("b")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]


def test_a_restart_at_latest_skips_nothing_of_new_shards() -> None:
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
    scene.clock.pass_by(1)
    scene.poller.poll_once()
    scene.clock.pass_by(1)
    scene.put("a")
    scene.kinesis.fail_next_reads("ExpiredIteratorException")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"]]


def test_reading_outlives_throttling_and_an_expired_iterator() -> None:
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
    assert sum(scene.clock.waits) == pytest.approx(0.5 + 1 + 0.5)


def test_an_error_that_no_retry_mends_is_raised_when_stepping(scene: Scene) -> None:
    scene.kinesis.fail_next_reads("AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.poller.poll_once()
