"""Which records go together, when, and how the checkpoint follows them, while nothing fails."""

from datetime import timedelta

from tests.support.clock import START
from tests.support.poller_scene import Scene, with_mapping


def test_batches_come_in_order_and_the_checkpoint_follows() -> None:
    scene = Scene(mapping=with_mapping(batch_size=3))
    scene.put(*"abcdefg")
    counts = scene.poller.run_until_idle()
    assert scene.batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert scene.checkpoints == {"shardId-000000000000": scene.sequence_numbers["g"]}
    assert counts.records_delivered == 7
    assert counts.invocations == 3


def test_draining_waits_for_nothing_when_nothing_fails(scene: Scene) -> None:
    scene.put("a")
    scene.poller.run_until_idle()
    scene.put("b")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]
    assert scene.clock.waits == []


def test_a_batch_that_is_not_full_waits_for_its_window(scene: Scene) -> None:
    scene.put("a")
    scene.poller.poll_once()
    scene.clock.pass_by(4.9)
    scene.put("b")
    poll = scene.poller.poll_once()
    assert scene.batches == []
    assert not poll.is_idle
    assert poll.next_due_at == START + timedelta(seconds=5)
    scene.clock.pass_by(0.1)
    scene.poller.poll_once()
    assert scene.batches == [["a", "b"]]


def test_a_full_batch_does_not_wait() -> None:
    scene = Scene(mapping=with_mapping(batch_size=2))
    scene.put("a", "b", "c")
    scene.poller.poll_once()
    scene.poller.poll_once()
    assert scene.batches == [["a", "b"]]


def test_draining_can_wait_for_windows_as_aws_would(scene: Scene) -> None:
    scene.put("a")
    scene.poller.run_until_idle(close_windows=False)
    assert scene.batches == [["a"]]
    assert scene.times == [5.0]


def test_without_a_window_records_go_at_once() -> None:
    scene = Scene(mapping=with_mapping(maximum_batching_window_in_seconds=0))
    scene.put("a")
    scene.poller.poll_once()
    assert scene.batches == [["a"]]


def test_a_batch_ends_before_its_event_is_too_large(scene: Scene) -> None:
    scene.put(*(letter * 2**20 for letter in "abcde"))
    scene.poller.run_until_idle()
    assert [len(batch) for batch in scene.batches] == [4, 1]


def test_an_empty_stream_is_idle_and_calls_nothing(scene: Scene) -> None:
    assert scene.poller.poll_once().is_idle
    assert scene.batches == []
    assert scene.checkpoints == {}


def test_records_that_come_during_a_call_are_drained_too(scene: Scene) -> None:
    scene.answer = lambda texts: scene.put("b") if texts == ["a"] else None
    scene.put("a")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]
