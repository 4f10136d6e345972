"""A function that fails: batches are split, retried with back-off, and cut at the reported record."""

from stock_pipeline.local.event_source.function_runtime import FunctionTimedOutError
from stock_pipeline.local.event_source.mapping import Condition
from tests.support.poller_scene import Scene, fail_if, with_mapping


def test_splitting_isolates_the_bad_record_for_the_destination() -> None:
    scene = Scene(fail_if("f"))
    scene.put(*"abcdefgh")
    counts = scene.poller.run_until_idle()
    assert scene.destination.data == [["f"]]
    (failed,) = scene.destination.failed
    assert failed.condition is Condition.RETRY_ATTEMPTS_EXHAUSTED
    assert scene.destination.last_invocation.function_error == "Unhandled"
    assert failed.request_id == scene.destination.last_invocation.request_id
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


def test_a_partial_response_moves_the_checkpoint(scene: Scene) -> None:
    scene.put(*"abcd")
    scene.answer = lambda texts: scene.failing("d", "c") if "a" in texts else None
    scene.poller.poll_once()
    poll = scene.poller.poll_once(close_windows=True)
    assert not poll.is_idle
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["b"]
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b", "c", "d"], ["c", "d"]]
    assert scene.checkpoints["shardId-000000000000"] == scene.sequence_numbers["d"]


def test_an_always_reported_record_ends_in_the_destination(scene: Scene) -> None:
    scene.put(*"abc")
    scene.answer = lambda texts: scene.failing("b") if "b" in texts else None
    scene.poller.run_until_idle()
    scene.put("d")
    scene.poller.run_until_idle()
    assert scene.batches == [["a", "b", "c"]] + 6 * [["b", "c"]] + [["d"]]
    assert scene.destination.data == [["b", "c"]]
    assert scene.destination.last_invocation.function_error is None


def test_a_response_about_an_unknown_record_fails_the_batch() -> None:
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
    scene.answer = lambda texts: scene.clock.pass_by(61)
    scene.put("a")
    assert scene.poller.run_until_idle().function_errors == 1
    assert scene.destination.data == [["a"]]
