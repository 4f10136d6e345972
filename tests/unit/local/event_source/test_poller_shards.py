"""Many shards, and shards that are split and merged: children wait until their parents are drained."""

from collections import defaultdict

from stock_pipeline.local.event_source.poller import Shard, readable
from tests.support.poller_scene import Scene, fail_if, with_mapping


def test_a_failing_shard_does_not_block_the_others() -> None:
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
    scene.clock.pass_by(0.5)
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


def test_a_parent_that_is_no_longer_listed_holds_nobody_back(scene: Scene) -> None:
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


def test_children_of_a_shard_that_was_idle_are_found(scene: Scene) -> None:
    scene.poller.run_until_idle()
    scene.kinesis.split_shard("shardId-000000000000")
    scene.put("a")
    scene.poller.run_until_idle()
    assert scene.batches == [["a"]]
