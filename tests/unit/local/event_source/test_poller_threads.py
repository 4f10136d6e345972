"""Running until told to stop, with threads for shards and lanes: everything arrives, and a crash is raised."""

import threading
from typing import Any

import pytest

from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.event_source.poller import EventSourcePoller
from tests.fakes.crashes import Crashed
from tests.support.poller_scene import Scene, keys_of_lanes, with_mapping


def run_in_thread(poller: EventSourcePoller, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=poller.run, args=(stop,))
    thread.start()
    return thread


def threaded_scene(**changes: Any) -> Scene:
    return Scene(mapping=with_mapping(maximum_batching_window_in_seconds=0, **changes), shards=3)


def test_running_takes_a_thread_a_shard_and_ends_on_stop() -> None:
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
    monkeypatch.setattr("stock_pipeline.local.event_source.poller.IDLE_READ_SECONDS", 0.001)
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
        raise Crashed

    scene.answer = answer
    scene.put("a")
    with pytest.raises(Crashed):
        scene.poller.run(stop)
    assert stop.is_set()
    assert scene.checkpoints == {}


def test_running_outlives_a_stream_that_is_away_for_a_while() -> None:
    stop = threading.Event()

    class Stopper(SilentObserver):
        def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None:
            stop.set()

    scene = Scene(observer=Stopper())
    scene.kinesis.fail_next_reads("AccessDeniedException")
    scene.poller.run(stop)
    assert scene.poller.counts.troubles == 1
