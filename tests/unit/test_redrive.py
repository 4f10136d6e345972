"""Redrive: every repairable line reaches the stream, what never can is parked, and nothing is deleted before that."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.redrive_plan import MAX_TRIES, QueueMessage, StreamRange
from stock_pipeline.domain.rejection import Reason, Rejection
from stock_pipeline.streaming.line_rate import LineRate
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.redrive import Rate, Redrive, RedriveReport, StayInQueue, Unlimited
from stock_pipeline.streaming.redrive_ledger import RedriveLedger
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.streaming.trade_json import encode_trade
from tests.kinesis_events import kinesis_event
from tests.trades import trade

EVENTS = Path(__file__).parent.parent / "data" / "aws_events"


class Crash(BaseException):
    """The process dies here."""


@dataclass
class World:
    """Queue, bucket, old and new stream in memory. `crash_at`: the side effect, counted from 1, that all ends at."""

    crash_at: int | None = None
    effects: int = 0
    waiting: dict[str, str] = field(default_factory=dict)
    deliveries: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    held: set[str] = field(default_factory=set)
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    own_objects: dict[str, bytes] = field(default_factory=dict)
    history: dict[str, list[bytes]] = field(default_factory=dict)
    stream: list[bytes] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)
    refuses: bool = False

    def effect(self) -> None:
        self.effects += 1
        if self.effects == self.crash_at:
            raise Crash

    def add(self, message_id: str, body: str | bytes | dict[str, Any]) -> None:
        if isinstance(body, dict):
            body = json.dumps(body)
        self.waiting[message_id] = body if isinstance(body, str) else body.decode()

    # the queue

    def receive(self, limit: int) -> Sequence["InHand"]:
        chosen = [name for name in self.waiting if name not in self.held][:limit]
        self.held.update(chosen)
        for name in chosen:
            self.deliveries[name] = self.deliveries.get(name, 0) + 1
        return [InHand(self, QueueMessage(name, self.waiting[name], self.deliveries[name])) for name in chosen]

    def send(self, documents: Sequence[bytes]) -> None:
        for document in documents:
            self.add(f"sent-{json.loads(document)['rejection_id']}", document)
        self.effect()

    def visible_again(self) -> None:
        self.held.clear()

    # objects, history, stream

    def get(self, bucket: str, key: str) -> bytes | None:
        return self.objects.get((bucket, key))

    def get_if_there(self, key: str) -> bytes | None:
        return self.own_objects.get(key)

    def put(self, target: Any, body: Any = None) -> Any:
        if isinstance(target, str):
            self.own_objects[target] = body
            return self.effect()
        if self.refuses:
            return ["ServiceUnavailable"] * len(target)
        for record in target:
            self.stream += record.data.split(b"\n")
        self.effect()
        return [None] * len(target)

    def read(self, place: StreamRange) -> Sequence[bytes] | None:
        return self.history.get(place.shard_id)

    def run(
        self,
        limit: int = 100,
        dry_run: bool = False,
        reason: Reason | None = None,
        rate: Rate | None = None,
        park_expired: bool = False,
    ) -> RedriveReport:
        """One run, named run-1 and so on, a day after the one before."""
        self.runs += 1
        ticks = iter(range(0, 10**15, 10**9))
        publisher = Publisher(self, StayInQueue(), 4, lambda: next(ticks), lambda _attempt: None)
        now = datetime(2026, 1, 15, tzinfo=UTC) + timedelta(days=self.runs)
        run_id, ledger = f"run-{self.runs}", RedriveLedger(self)
        redrive = Redrive(self, self, self, ledger, publisher, 4, run_id, lambda: now, rate or Unlimited())
        self.visible_again()
        return redrive.run(limit, 10**12, dry_run, reason, park_expired)

    def parked(self) -> dict[str, Any]:
        found = {
            key: json.loads(body) for key, body in self.own_objects.items() if key.startswith("quarantine/parked/")
        }
        return {history["message_id"]: history for history in found.values()}

    def ledger(self, message_id: str) -> list[dict[str, Any]]:
        body = self.own_objects.get(f"redrive/{message_id}.json")
        return json.loads(body)["tries"] if body else []


@dataclass(frozen=True)
class InHand:
    world: World
    message: QueueMessage

    def delete(self) -> None:
        self.world.effect()
        del self.world.waiting[self.message.message_id]

    def release(self) -> None: ...

    def put_back(self) -> None:
        self.world.put_back.append(self.message.message_id)


def rejected(payload: bytes, line: int = 0, reason: Reason = Reason.SCHEMA) -> bytes:
    return message_bytes(Rejection(reason, "detail", payload, "shardId-0", "1", line, "bucket-0001", 1.0))


def failed_batch(lines: Sequence[bytes]) -> bytes:
    document = json.loads((EVENTS / "docs_kinesis_on_failure_s3.json").read_text())
    return json.dumps(document | {"payload": json.dumps(kinesis_event(lines))}).encode()


def notification(key: str) -> str:
    event = json.loads((EVENTS / "s3_object_created.json").read_text())
    event["Records"][0]["s3"]["bucket"]["name"] = "lake"
    event["Records"][0]["s3"]["object"]["key"] = key
    return json.dumps(event)


def full_world(crash_at: int | None = None) -> tuple[World, set[bytes], set[str]]:
    """Every form of message; the lines that can be repaired, and the messages that never can."""
    world = World(crash_at)
    lines = [encode_trade(trade(n)) for n in range(12)]
    world.add("rejected-good", rejected(lines[0]))
    world.add("rejected-bad", rejected(b"not json"))
    world.objects["lake", "quarantine/oversized/x.json"] = rejected(lines[1])
    world.add("oversized", {"kind": "rejected_record", "document": "s3://lake/quarantine/oversized/x.json"})
    unpublished = {"partition_key": "k", "data_base64": base64.b64encode(b"\n".join(lines[2:4])).decode()}
    body = json.dumps({"kind": "unpublished_records", "reason": "r", "records": [unpublished]}).encode()
    world.objects["lake", "failed/producer/y.json"] = body
    world.add("unpublished", {"kind": "unpublished_records", "document": "s3://lake/failed/producer/y.json"})
    world.objects["lake", "aws/lambda/id/a b.json"] = failed_batch([b"\n".join([*lines[4:6], b"broken"]), lines[6]])
    world.add("failed-batch", notification("aws/lambda/id/a+b.json"))
    metadata = json.loads((EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    metadata["KinesisBatchInfo"]["shardId"] = "kept"
    world.history["kept"] = [b"\n".join(lines[7:9]), lines[9] + b"\n"]
    world.add("metadata", metadata)
    metadata["KinesisBatchInfo"]["shardId"] = "expired"
    world.add("expired", json.dumps(metadata))
    world.add("recorded", (EVENTS / "recorded_record_age_exceeded.json").read_text())
    world.add("missing-object", notification("gone.json"))
    world.add("unreadable", {"kind": "unreadable_payload", "reason": "value", "payload_base64": ""})
    world.add("no-json", "what is this")
    world.add("unknown", {"kind": "greeting"})
    never = {"rejected-bad", "missing-object", "unreadable", "no-json", "unknown"}
    return world, set(lines[:10]), never | {"sent-redrive:failed-batch:0"}


EXPIRED = {"expired", "recorded"}
"""Of the full world: messages whose records the stream keeps no longer."""


def test_every_form_is_redriven_or_parked_but_for_what_expired() -> None:
    world, repairable, never = full_world()
    for _ in range(2 * MAX_TRIES):
        world.run()
    assert set(world.stream) == repairable
    assert len(world.stream) == len(repairable)
    assert set(world.parked()) == never
    assert set(world.waiting) == EXPIRED


def test_a_crash_at_any_side_effect_loses_nothing_and_deletes_nothing_too_early() -> None:
    crash_at = 0
    while True:
        crash_at += 1
        world, repairable, never = full_world(crash_at)
        bodies = dict(world.waiting)
        crashed = False
        for _ in range(3 * MAX_TRIES):
            try:
                world.run()
            except Crash:
                crashed = True
                gone = bodies.keys() - world.waiting.keys()
                kept = set(world.parked()) | {json.loads(b)["message_id"] for b in world.own_objects.values()}
                assert gone <= kept, f"deleted before it was safe, at effect {crash_at}"
                world.crash_at = None
        assert set(world.stream) == repairable
        assert set(world.parked()) == never
        assert set(world.waiting) == EXPIRED
        if not crashed:
            assert crash_at > 20
            return


def test_a_stream_that_refuses_keeps_the_message() -> None:
    world = World(refuses=True)
    world.add("rejected-good", rejected(encode_trade(trade(1))))
    report = world.run()
    assert report.counts == {"left": 1}
    assert "rejected-good" in world.waiting
    assert world.own_objects == {}


def test_a_message_that_can_never_succeed_does_not_keep_others_waiting() -> None:
    world = World()
    for n in range(30):
        world.add(f"bad-{n:02}", rejected(b"not json", n))
    world.add("good", rejected(encode_trade(trade(1))))
    report = world.run(limit=100)
    assert world.stream == [encode_trade(trade(1))]
    assert report.counts == {"left": 30, "published": 1}


def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    world, _, _ = full_world()
    report = world.run(dry_run=True)
    assert report.counts == {"published": 5, "left": 2, "parked": 3, "expired": 2}
    assert world.effects == 0
    assert len(world.waiting) == 12


def test_the_ledger_says_what_was_done_with_each_message_when_and_by_which_run() -> None:
    world = World()
    good = rejected(encode_trade(trade(1)))
    world.add("repaired", rejected(b"not json"))
    world.run()
    world.waiting["repaired"] = good.decode()
    world.run()
    assert world.ledger("repaired") == [
        {
            "at": "2026-01-16T00:00:00+00:00",
            "run_id": "run-1",
            "action": "left",
            "why": "the line is still no trade",
            "lines": 0,
            "rejected": 0,
        },
        {
            "at": "2026-01-17T00:00:00+00:00",
            "run_id": "run-2",
            "action": "published",
            "why": "",
            "lines": 1,
            "rejected": 0,
        },
    ]


def test_a_parked_message_has_all_its_tries_with_it() -> None:
    world = World()
    world.add("bad", rejected(b"not json"))
    for _ in range(MAX_TRIES):
        assert world.waiting
        world.run()
    assert world.waiting == {}
    parked = world.parked()["bad"]
    assert [one["run_id"] for one in parked["tries"]] == [f"run-{n}" for n in range(1, MAX_TRIES + 1)]
    assert [one["action"] for one in parked["tries"]] == ["left"] * (MAX_TRIES - 1) + ["parked"]
    assert parked["tries"] == world.ledger("bad")
    assert parked["why"] == "the line is still no trade, 5 times"
    assert parked["body"] == rejected(b"not json").decode()


def test_looks_that_are_no_tries_park_nothing() -> None:
    world = World()
    world.add("bad", rejected(b"not json"))
    for _ in range(2 * MAX_TRIES):
        world.run(dry_run=True)
        world.run(reason=Reason.VALUE)
    assert world.deliveries["bad"] > 2 * MAX_TRIES
    (outcome,) = world.run().outcomes
    assert (outcome.action, outcome.tries) == ("left", 1)


def test_a_stream_that_refuses_for_long_parks_nothing() -> None:
    world = World(refuses=True)
    world.add("good", rejected(encode_trade(trade(1))))
    for _ in range(2 * MAX_TRIES):
        assert world.run().counts == {"left": 1}
    world.refuses = False
    (outcome,) = world.run().outcomes
    assert (outcome.action, outcome.tries) == ("published", 1)


def test_a_message_whose_records_expired_stays_until_somebody_says_that_they_came_from_elsewhere() -> None:
    world, _, _ = full_world()
    for _ in range(3 * MAX_TRIES):
        assert world.run().counts["expired"] == 2
    assert set(world.waiting) == EXPIRED
    assert not EXPIRED & set(world.parked())
    assert [one["action"] for one in world.ledger("expired")] == ["expired"]  # once, however often it is looked at
    assert world.run(dry_run=True, park_expired=True).counts == {"parked": 2}
    assert set(world.waiting) == EXPIRED
    assert world.run(park_expired=True).counts == {"parked": 2}
    assert world.waiting == {}
    assert "no longer" in world.parked()["expired"]["why"]


@pytest.mark.parametrize("limit", [1, 7, 11])
def test_a_limit_bounds_the_messages_of_a_run(limit: int) -> None:
    world, _, _ = full_world()
    assert len(world.run(limit=limit).outcomes) == limit


def test_a_reason_chooses_lines_that_were_rejected_for_it_and_leaves_the_others_at_once() -> None:
    world, _, _ = full_world()
    lines = [encode_trade(trade(number)) for number in (20, 21)]
    world.add("not-json", rejected(lines[0], reason=Reason.NOT_JSON))
    world.add("value", rejected(lines[1], reason=Reason.VALUE))
    report = world.run(reason=Reason.VALUE)
    assert [outcome.message_id for outcome in report.outcomes] == ["value"]
    assert world.stream == [lines[1]]
    assert set(world.put_back) == set(world.waiting)
    assert len(world.put_back) == 13


def test_a_dry_run_puts_every_message_back() -> None:
    world, _, _ = full_world()
    world.run(dry_run=True)
    assert sorted(world.put_back) == sorted(world.waiting)


def test_the_rate_spaces_messages_by_their_lines_and_leaves_what_has_no_time() -> None:
    now, waits = [0], list[float]()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += int(seconds * 10**9)

    world = World()
    for number in range(4):
        world.add(f"good-{number}", rejected(encode_trade(trade(number))))
    rate = LineRate(1, lambda: now[0], wait)
    report = world.run(rate=rate)
    assert report.counts == {"published": 4}
    assert waits == [1.0, 1.0, 1.0]

    rate.turn(10_000, 10**13)
    world.add("late", rejected(encode_trade(trade(9))))
    assert world.run(rate=rate).counts == {"left": 1}
    assert world.put_back == ["late"]
    assert "late" in world.waiting


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(1, 1000))
def test_no_more_lines_go_than_the_rate_allows(messages: list[int], lines_per_second: int) -> None:
    now = [5]

    def wait(seconds: float) -> None:
        now[0] += round(seconds * 10**9)

    rate = LineRate(lines_per_second, lambda: now[0], wait)
    gone = 0
    for lines in messages:
        assert rate.turn(lines, 10**18)
        assert gone * 10**9 <= (now[0] - 5 + len(messages)) * lines_per_second
        gone += lines
