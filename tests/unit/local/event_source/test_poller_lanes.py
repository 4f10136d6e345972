"""A shard's lanes: one that fails or is slow holds back its own keys and the checkpoint, within a bound."""

from stock_pipeline.local.event_source.shard_consumer import MAX_UNFINISHED_RECORDS
from tests.support.poller_scene import Scene, fail_if, keys_of_lanes, with_mapping


def test_a_failing_lane_stops_its_own_keys_and_the_checkpoint() -> None:
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


def test_windows_close_at_the_tip_and_not_at_a_seeming_last_page() -> None:
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
