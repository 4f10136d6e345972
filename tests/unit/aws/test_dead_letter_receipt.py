"""Messages of the dead-letter queue stay in hand for as long as a run needs them, and a run finds all of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.dead_letter_receipt import VISIBILITY_SECONDS, SqsRedriveQueue
from stock_pipeline.aws.object_store import BucketObjects, ObjectStore
from stock_pipeline.aws.stream_history import KinesisHistory
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.redrive.ledger import RedriveLedger
from stock_pipeline.redrive.line_rate import LineRate
from stock_pipeline.redrive.redrive import Redrive, StayInQueue
from stock_pipeline.redrive.wiring import watchful
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.record_packing import PackedRecord
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.clients import FakeS3Client
from tests.fakes.kinesis import FakeKinesis
from tests.fakes.sqs import TimedSqsClient
from tests.support.redrive_world import rejected
from tests.support.trades import trade

HOUR = 3_600


class Scene:
    """Redrive over the real adapters of queue, objects and history, and a clock that moves by waiting alone."""

    def __init__(self, empty_answers: frozenset[int] = frozenset(), lines_per_second: int = 1_000) -> None:
        self.now_ns = 10**9
        self.sqs = TimedSqsClient(lambda: self.now_ns, empty_answers)
        self.published: list[bytes] = []
        client: Any = self.sqs
        kinesis: Any = FakeKinesis()
        s3: Any = FakeS3Client()
        store = ObjectStore(s3, "bucket")
        self.queue = SqsRedriveQueue(SqsQueue(client, "queue", store), lambda: self.now_ns)
        sleep = watchful(self.pass_by, self.queue.keep_hidden)
        self.redrive = Redrive(
            queue=self.queue,
            objects=BucketObjects(store),
            history=KinesisHistory(kinesis, sleep),
            ledger=RedriveLedger(store),
            publisher=Publisher(self, StayInQueue(), 4, lambda: self.now_ns, lambda _attempt: sleep(5)),
            buckets=4,
            run_id="run",
            now=lambda: datetime(2026, 1, 15, tzinfo=UTC),
            rate=LineRate(lines_per_second, lambda: self.now_ns, sleep),
        )

    def pass_by(self, seconds: float) -> None:
        self.now_ns += round(seconds * 10**9)

    def put(self, records: list[PackedRecord]) -> list[str | None]:
        self.published += [line for record in records for line in record.data.split(b"\n")]
        return [None] * len(records)

    def send(self, count: int, reason: Reason = Reason.SCHEMA) -> None:
        self.queue.send([rejected(encode_trade(trade(number)), number, reason) for number in range(count)])

    def run(self, seconds: int = HOUR, **options: Any) -> dict[str, int]:
        return dict(self.redrive.run(1_000, self.now_ns + seconds * 10**9, **options).counts)


def test_a_run_of_an_hour_keeps_its_messages_in_hand() -> None:
    """Ten messages are received at once, and each takes two minutes."""
    scene = Scene()
    scene.send(30)
    turn = scene.redrive.rate.turn

    class Slow:
        def turn(self, lines: int, deadline_ns: int) -> bool:
            watchful(scene.pass_by, scene.queue.keep_hidden)(120)
            return turn(lines, deadline_ns)

    scene.redrive = replace(scene.redrive, rate=Slow())
    assert scene.run(2 * HOUR) == {"published": 30}
    assert len(scene.published) == 30
    assert scene.sqs.messages == {}


def test_messages_that_wait_for_the_rate_are_published_once() -> None:
    scene = Scene(lines_per_second=1)
    for _ in range(4):
        # the rate's debt is longer than any message stays in hand by itself
        scene.redrive.rate.turn(2 * VISIBILITY_SECONDS, scene.now_ns + 10**15)
        scene.send(3)
        assert scene.run() == {"published": 3}
    assert len(scene.published) == 12
    assert scene.sqs.messages == {}


def test_a_stream_that_refuses_for_an_hour_gets_no_message_out_of_hand() -> None:
    scene = Scene()
    scene.send(1)
    scene.put = lambda records: ["ServiceUnavailable"] * len(records)  # type: ignore[method-assign]
    began_ns = scene.now_ns
    (outcome,) = scene.redrive.run(10, scene.now_ns + HOUR * 10**9).outcomes
    assert scene.now_ns - began_ns >= HOUR * 10**9
    assert (outcome.action, outcome.why) == ("left", "the stream refused its lines")


@pytest.mark.parametrize("options", [{"dry_run": True}, {"reason": Reason.VALUE}])
def test_messages_that_are_only_looked_at_are_held_to_the_end_and_then_shown(options: dict[str, Any]) -> None:
    scene = Scene()
    scene.send(25)
    receive = scene.sqs.receive_message

    def slow(**arguments: Any) -> dict[str, Any]:
        scene.pass_by(140)
        return receive(**arguments)

    scene.sqs.receive_message = slow  # type: ignore[method-assign]
    outcomes = scene.redrive.run(1_000, scene.now_ns + HOUR * 10**9, **options).outcomes
    assert len(outcomes) == (25 if options.get("dry_run") else 0)
    assert all(message.deliveries == 1 for message in scene.sqs.messages.values())
    assert scene.sqs.in_flight() == 0


def test_one_empty_answer_of_sqs_ends_no_run() -> None:
    scene = Scene(empty_answers=frozenset(range(0, 100, 3)))
    scene.send(30)
    assert scene.run() == {"published": 30}


def test_sqs_is_asked_for_seconds_and_twice_before_the_queue_is_taken_for_empty() -> None:
    scene = Scene()
    assert scene.run() == {}
    assert len(scene.sqs.receives) == 2
    assert all(0 < options["WaitTimeSeconds"] <= 20 for options in scene.sqs.receives)


@pytest.mark.parametrize(
    ("leave", "code"),
    [("delete", "ReceiptHandleIsInvalid"), ("release", "MessageNotInflight"), ("put_back", "MessageNotInflight")],
)
def test_a_message_out_of_hand_can_t_be_left(leave: str, code: str) -> None:
    scene = Scene()
    scene.send(1)
    (received,) = scene.queue.receive(10)
    scene.pass_by(VISIBILITY_SECONDS + 1)
    leaving: Callable[[], None] = getattr(received, leave)
    with pytest.raises(ClientError, match=code):
        leaving()
    assert len(scene.sqs.messages) == 1


def test_a_message_that_got_out_of_hand_does_not_end_a_run() -> None:
    scene = Scene()
    scene.send(3)
    scene.queue.send([rejected(b"not json", 9)])
    put = scene.put

    def slow(records: list[PackedRecord]) -> list[str | None]:
        if len(scene.published) == 1:
            scene.pass_by(VISIBILITY_SECONDS + 1)
        return put(records)

    scene.put = slow  # type: ignore[method-assign]
    assert scene.run() == {"published": 1, "left": 3}
    scene.pass_by(HOUR)
    assert scene.run() == {"published": 2, "left": 1}


def test_what_is_no_longer_in_hand_is_hidden_no_longer() -> None:
    scene = Scene()
    scene.send(3)
    deleted, released, held = scene.queue.receive(10)
    deleted.delete()
    released.put_back()
    scene.pass_by(VISIBILITY_SECONDS - 1)
    scene.queue.keep_hidden()
    assert scene.sqs.in_flight() == 1
    held.put_back()
    assert scene.sqs.in_flight() == 0
