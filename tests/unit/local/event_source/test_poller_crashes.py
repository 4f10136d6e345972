"""The process ends in the handler or between two runs: the checkpoint passes nothing unfinished."""

import pytest

from tests.fakes.crashes import Crashed
from tests.support.poller_scene import Scene, with_mapping


def test_a_crash_in_the_handler_does_not_move_the_checkpoint() -> None:
    scene = Scene(mapping=with_mapping(batch_size=2))
    scene.put(*"abcd")

    def answer(texts: list[str]) -> None:
        if "c" in texts and scene.batches.count(texts) == 1:
            raise Crashed

    scene.answer = answer
    with pytest.raises(Crashed):
        scene.poller.run_until_idle()
    assert scene.checkpoints == {"shardId-000000000000": scene.sequence_numbers["b"]}
    scene.poller = scene.new_poller()
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b"], ["c", "d"], ["c", "d"]]


def test_the_same_poller_goes_on_after_a_crash(scene: Scene) -> None:
    scene.put(*"ab")

    def answer(texts: list[str]) -> None:
        if len(scene.batches) == 1:
            raise Crashed

    scene.answer = answer
    with pytest.raises(Crashed):
        scene.poller.run_until_idle()
    assert scene.poller.run_until_idle().records_delivered == 2
    assert scene.batches == [["a", "b"], ["a", "b"]]


def test_a_restart_skips_parents_that_were_drained(scene: Scene) -> None:
    scene.put("a")
    scene.poller.run_until_idle()
    scene.kinesis.split_shard("shardId-000000000000")
    scene.put("b")
    scene.poller = scene.new_poller()
    scene.poller.run_until_idle()
    assert scene.batches == [["a"], ["b"]]
