"""The law: through errors, crashes and splits every record is handled in its key's order, or in the destination."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.local.event_source.failure_destination import FailedBatch
from stock_pipeline.local.event_source.mapping import Batch, Plan
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.event_source.poller import EventSourcePoller
from tests.fakes.crashes import Crashed
from tests.support.poller_scene import Scene, with_mapping


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
def test_every_record_is_handled_in_order_or_in_the_destination(schedule: dict[str, Any], data: st.DataObject) -> None:
    ended: list[str] = []
    log: list[str] = []

    class Ended(SilentObserver):
        """Observer that remembers the data of records that are done or in the destination."""

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
                raise Crashed
            case "slow":
                scene.clock.pass_by(61)

    def poll_through_crashes(poll: Callable[[EventSourcePoller], object]) -> None:
        while True:
            try:
                poll(scene.poller)
            except Crashed:
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
