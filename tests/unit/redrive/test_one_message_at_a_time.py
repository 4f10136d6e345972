"""What one message raises is that message's: it is left, counted and at last parked, and the run goes on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from stock_pipeline.domain.lake_layout import REDRIVEN_KEY
from stock_pipeline.domain.redrive_plan import MAX_TRIES, StreamRange
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.redrive.ledger import RedriveLedger
from stock_pipeline.redrive.parked_messages import unpark
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.faults import client_error
from tests.fakes.stores import FakeObjectStore, FakeQueue
from tests.support.redrive_world import EVENTS, InHand, RedriveWorld, notification, rejected
from tests.support.trades import trade

GOOD = encode_trade(trade(1))


@dataclass
class Moody(RedriveWorld):
    """A world in which some places raise. `raises`: by name of the place, what reaching for it raises."""

    raises: dict[str, Exception] = field(default_factory=dict)

    def _reach(self, *names: str) -> None:
        for name in names:
            if name in self.raises:
                raise self.raises[name]

    def get(self, bucket: str, key: str) -> bytes | None:
        self._reach(bucket, key)
        return super().get(bucket, key)

    def get_if_there(self, key: str) -> bytes | None:
        self._reach(f"get {key}")
        return super().get_if_there(key)

    def put(self, target: Any, body: Any = None) -> Any:
        if isinstance(target, str):
            self._reach(f"put {target}")
        else:
            self._reach(*(line.decode() for record in target for line in record.data.split(b"\n")))
        return super().put(target, body)

    def read(self, place: StreamRange) -> Sequence[bytes] | None:
        self._reach(place.shard_id)
        return super().read(place)

    def receive(self, limit: int) -> Sequence[InHand]:
        return [OutOfHand(self, received.message) for received in super().receive(limit)]


@dataclass(frozen=True)
class OutOfHand(InHand):
    """A message that may have been in hand for too long."""

    world: Moody

    def delete(self) -> None:
        self.world._reach(f"delete {self.message.message_id}")
        super().delete()

    def release(self) -> None:
        self.world._reach(f"release {self.message.message_id}")

    def put_back(self) -> None:
        self.world._reach(f"put_back {self.message.message_id}")
        super().put_back()


def nested_body(world: Moody) -> None:
    world.add("poison", "[" * 5_000)


def nested_object(world: Moody) -> None:
    world.objects["lake", "nested.json"] = b"[" * 50_000
    world.add("poison", notification("nested.json"))


def bucket_that_is_gone(world: Moody) -> None:
    world.raises["lake"] = client_error("GetObject", "NoSuchBucket", 404)
    world.add("poison", notification("x.json"))


def object_that_may_not_be_read(world: Moody) -> None:
    world.raises["secret.json"] = client_error("GetObject", "AccessDenied", 403)
    world.add("poison", notification("secret.json"))


def no_name_of_a_bucket(world: Moody) -> None:
    world.raises["garbage"] = ParamValidationError(report="Invalid length for parameter Key")
    world.add("poison", {"kind": "rejected_record", "document": "garbage"})


def history_that_is_refused(world: Moody) -> None:
    metadata = json.loads((EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    metadata["KinesisBatchInfo"]["shardId"] = "refused"
    world.raises["refused"] = client_error("GetRecords", "ProvisionedThroughputExceededException")
    world.add("poison", metadata)


def record_that_the_stream_can_t_take(world: Moody) -> None:
    line = encode_trade(trade(2))
    world.raises[line.decode()] = client_error("PutRecords", "ValidationException")
    world.add("poison", rejected(line))


POISONS = {
    nested_body: "RecursionError",
    nested_object: "RecursionError",
    bucket_that_is_gone: "NoSuchBucket",
    object_that_may_not_be_read: "AccessDenied",
    no_name_of_a_bucket: "ParamValidationError",
    history_that_is_refused: "ProvisionedThroughputExceededException",
    record_that_the_stream_can_t_take: "ValidationException",
}


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.__name__)
def test_what_one_message_raises_is_left_counted_and_at_last_parked_and_the_run_goes_on(poison: Any) -> None:
    world = Moody()
    poison(world)
    for number in range(12):
        world.add(f"good-{number:02}", rejected(encode_trade(trade(10 + number))))
    report = world.run()
    assert report.counts == {"left": 1, "published": 12}
    (left,) = [outcome for outcome in report.outcomes if outcome.action == "left"]
    assert POISONS[poison] in left.why
    assert len(world.stream) == 12
    for tries in range(2, MAX_TRIES):
        (outcome,) = world.run().outcomes
        assert (outcome.action, outcome.tries) == ("left", tries)
    assert world.run().counts == {"parked": 1}
    assert world.waiting == {}
    parked = world.parked()["poison"]
    assert POISONS[poison] in parked["why"]
    assert [one["action"] for one in parked["tries"]] == ["left"] * (MAX_TRIES - 1) + ["parked"]


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.__name__)
def test_a_look_at_a_message_that_raises_says_so_and_counts_nothing(poison: Any) -> None:
    world = Moody()
    poison(world)
    world.add("good", rejected(GOOD))
    for _ in range(MAX_TRIES + 1):
        report = world.run(dry_run=True)
        assert {outcome.message_id for outcome in report.outcomes} == {"good", "poison"}
    assert (world.fuse.count, set(world.waiting)) == (0, {"good", "poison"})
    assert world.run(reason=Reason.SCHEMA).counts["published"] == 1


def test_an_entry_of_a_newer_or_an_older_release_counts_as_a_try() -> None:
    world = RedriveWorld()
    world.add("newer", rejected(b"not json"))
    world.add("torn", rejected(b"not json"))
    world.add("good", rejected(GOOD))
    world.run(dry_run=True)
    known = {"at": "2026-01-01", "run_id": "run", "action": "left", "why": "", "lines": 0, "rejected": 0}
    tries = [known | {"shard": "a newer field"}, {"at": "2026-01-02", "run_id": "run"}]
    world.own_objects["redrive/newer.json"] = json.dumps({"message_id": "newer", "tries": tries}).encode()
    world.own_objects["redrive/torn.json"] = b'{"tries": [{'
    outcomes = {outcome.message_id: outcome for outcome in world.run().outcomes}
    assert {name: (one.action, one.tries) for name, one in outcomes.items()} == {
        "newer": ("left", 3),
        "torn": ("left", 1),
        "good": ("published", 1),
    }
    assert len(RedriveLedger(world).tries("newer")) == 3


def test_tries_that_can_t_be_read_now_are_not_forgotten() -> None:
    world = Moody()
    world.add("bad", rejected(b"not json"))
    for _ in range(3):
        world.run()
    world.raises["get redrive/bad.json"] = client_error("GetObject", "SlowDown", 503)
    (outcome,) = world.run().outcomes
    assert (outcome.action, "SlowDown" in outcome.why) == ("left", True)
    world.raises.clear()
    (outcome,) = world.run().outcomes
    assert outcome.tries == 4


@pytest.mark.parametrize("code", ["MessageNotInflight", "ReceiptHandleIsInvalid"])
def test_a_message_that_got_out_of_hand_is_left_with_the_reason_and_the_run_goes_on(code: str) -> None:
    world = Moody()
    for name in ("bad", "good", "other"):
        payload = b"not json" if name == "bad" else encode_trade(trade(len(name)))
        world.add(name, rejected(payload, reason=Reason.VALUE if name == "other" else Reason.SCHEMA))
    world.add("last", rejected(encode_trade(trade(7))))
    gone = client_error("ChangeMessageVisibility", code)
    world.raises = {"release bad": gone, "delete good": gone, "put_back other": gone}
    report = world.run(reason=Reason.SCHEMA)
    by_message = {outcome.message_id: outcome for outcome in report.outcomes}
    assert {name: outcome.action for name, outcome in by_message.items()} == {
        "bad": "left",
        "good": "left",
        "other": "left",
        "last": "published",
    }
    assert all(code in by_message[name].why for name in ("bad", "good", "other"))
    assert by_message["good"].lines == 1
    assert len(world.ledger("bad")) == 1
    assert set(world.waiting) == {"bad", "good", "other"}
    world.raises.clear()
    assert world.run().counts == {"left": 1, "published": 2}
    assert len(world.ledger("bad")) == 2


def test_a_message_that_is_here_again_within_a_run_is_tried_once() -> None:
    class ForgetsWhatIsInHand(RedriveWorld):
        def receive(self, limit: int) -> Sequence[InHand]:
            if self.deliveries.get("bad", 0) < 4:
                self.held.discard("bad")
            return super().receive(limit)

    world = ForgetsWhatIsInHand()
    world.add("bad", rejected(b"not json"))
    (outcome,) = world.run().outcomes
    assert world.deliveries["bad"] == 4
    assert outcome.tries == len(world.ledger("bad")) == 1


def test_a_ledger_that_can_t_be_written_stops_nobody_else() -> None:
    world = Moody()
    world.add("bad", rejected(b"not json"))
    world.add("good", rejected(GOOD))
    world.raises["put redrive/bad.json"] = client_error("PutObject", "AccessDenied", 403)
    report = world.run()
    assert report.counts == {"left": 1, "published": 1}
    assert "AccessDenied" in report.outcomes[0].why


def test_a_queue_that_fails_later_ends_the_run_with_what_was_done() -> None:
    class Breaks(RedriveWorld):
        answers = 0

        def receive(self, limit: int) -> Sequence[InHand]:
            self.answers += 1
            if self.answers == 2:
                raise client_error("ReceiveMessage", "RequestThrottled")
            return super().receive(limit)

    world = Breaks()
    world.add("good", rejected(GOOD))
    report = world.run()
    assert report.counts == {"published": 1}
    assert "RequestThrottled" in report.trouble
    assert [event.level for event in report.events("request")] == ["INFO", "INFO", "ERROR"]
    world.answers = 1
    with pytest.raises(ClientError, match="RequestThrottled"):
        world.run()


def test_counts_that_can_t_be_kept_are_told_and_stop_nobody() -> None:
    world = Moody()
    world.add("good", rejected(GOOD))
    world.raises[f"put {REDRIVEN_KEY}"] = client_error("PutObject", "SlowDown", 503)
    report = world.run()
    assert report.counts == {"published": 1}
    assert "SlowDown" in report.trouble


def test_one_empty_answer_ends_no_run() -> None:
    class Hesitates(RedriveWorld):
        answers = 0

        def receive(self, limit: int) -> Sequence[InHand]:
            self.answers += 1
            return [] if self.answers % 3 == 1 else super().receive(min(limit, 1))

    world = Hesitates()
    for number in range(30):
        world.add(f"good-{number}", rejected(encode_trade(trade(number))))
    assert world.run().counts == {"published": 30}
    assert world.run().outcomes == ()


def test_a_parked_message_that_can_t_be_sent_stays_and_the_others_come_back() -> None:
    class Refuses(FakeQueue):
        def send(self, documents: Sequence[bytes]) -> None:
            if documents == [b"refused"]:
                raise client_error("SendMessageBatch", "InvalidMessageContents")
            super().send(documents)

    store, queue = FakeObjectStore(), Refuses()
    bodies = {"a": b"torn {", "b": b"[]", "c": b'{"body": "refused"}', "d": b'{"body": "good"}'}
    for name, body in bodies.items():
        store.put(f"quarantine/parked/{name}.json", body)
    back = unpark(store, queue, 10)
    assert (back.messages, queue.documents) == (1, [b"good"])
    assert [failed.partition(":")[0] for failed in back.failed] == [f"quarantine/parked/{name}.json" for name in "abc"]
    assert set(store.objects) == {f"quarantine/parked/{name}.json" for name in "abc"}
    assert "InvalidMessageContents" in back.failed[2]
