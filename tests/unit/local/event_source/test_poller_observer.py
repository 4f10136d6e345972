"""What an observer hears of a batch: started, finished, in trouble, sent to the destination."""

from stock_pipeline.local.event_source.failure_destination import FailedBatch
from stock_pipeline.local.event_source.mapping import Batch, Plan
from stock_pipeline.local.event_source.observer import SilentObserver
from tests.support.poller_scene import Scene, fail_if, with_mapping


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
