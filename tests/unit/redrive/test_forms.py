"""Every form in which a failed batch is told of is understood, and what was sent together comes back whole."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.redrive_plan import MAX_TRIES, Inline
from stock_pipeline.domain.rejection import MAX_REJECTIONS_OF_RECORD, Reason
from stock_pipeline.redrive.message_forms import message_of_lines, origins_of
from stock_pipeline.streaming.batch_decoder import decode_batch
from stock_pipeline.streaming.kinesis_event import parse_kinesis_event
from stock_pipeline.streaming.publisher import FailedZone
from stock_pipeline.streaming.record_packing import PackedRecord
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.stores import FakeObjectStore, FakeQueue
from tests.support.clock import SECOND
from tests.support.kinesis_events import kinesis_event
from tests.support.redrive_world import EVENTS, RedriveWorld, failed_batch, notification, rejected
from tests.support.trades import trade

LINES = [encode_trade(trade(number)) for number in range(4)]
KEY = "aws/lambda/id/2026/2026-01-15T12.00.00 a&b.json"
ENCODED = "aws/lambda/id/2026/2026-01-15T12.00.00+a%26b.json"

TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-15T00:00:00Z", "Bucket": "lake"}


def by_sns(body: str) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:failed-batches",
        "Subject": "Amazon S3 Notification",
        "Message": body,
        "Timestamp": "2026-01-15T12:00:00.000Z",
    }


def by_event_bridge(key: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {
            "version": "0",
            "bucket": {"name": "lake"},
            "object": {"key": key, "size": 5},
            "reason": "PutObject",
        },
    }


def on_failure_metadata() -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads((EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    metadata["KinesisBatchInfo"]["shardId"] = "kept"
    return metadata


WRAPPED = {
    "S3": notification(ENCODED),
    "S3 by SNS": by_sns(notification(ENCODED)),
    "S3 by EventBridge": by_event_bridge(KEY),
    "S3 by EventBridge and SNS": by_sns(json.dumps(by_event_bridge(KEY))),
    "Lambda's metadata by SNS": by_sns(json.dumps(on_failure_metadata())),
}


@pytest.mark.parametrize("form", WRAPPED)
def test_a_failed_batch_is_redriven_whoever_tells_of_it(form: str) -> None:
    world = RedriveWorld()
    world.objects["lake", KEY] = failed_batch(LINES)
    world.history["kept"] = LINES
    world.add("message", WRAPPED[form])
    assert world.run().counts == {"published": 1}
    assert (world.stream, world.waiting) == (LINES, {})


@pytest.mark.parametrize("event", [TEST_EVENT, by_sns(json.dumps(TEST_EVENT))])
def test_s3s_test_event_is_deleted_without_a_word(event: dict[str, Any]) -> None:
    world = RedriveWorld()
    world.add("test-event", event)
    assert world.run(dry_run=True).counts == {"dropped": 1}
    assert "test-event" in world.waiting
    report = world.run()
    assert report.counts == {"dropped": 1}
    assert (world.waiting, world.parked()) == ({}, {})
    assert {event.level for event in report.events("request")} == {"INFO"}


def two_batches() -> tuple[RedriveWorld, dict[str, Any]]:
    world = RedriveWorld()
    world.objects["lake", "1.json"] = failed_batch(LINES[:2])
    world.objects["lake", "2.json"] = failed_batch(LINES[2:])
    both = json.loads(notification("1.json"))
    both["Records"] += json.loads(notification("2.json"))["Records"]
    return world, both


def test_all_records_of_a_notification_are_redriven() -> None:
    world, both = two_batches()
    world.add("both", both)
    assert world.run().counts == {"published": 1}
    assert world.stream == LINES


def test_a_notification_waits_for_a_missing_object_and_is_then_parked_without_its_neighbours() -> None:
    world, both = two_batches()
    del world.objects["lake", "1.json"]
    world.add("both", both)
    for _ in range(MAX_TRIES - 1):
        assert world.run().counts == {"left": 1}
    assert world.stream == []
    assert world.run().counts == {"parked": 1}
    assert world.stream == LINES[2:]


@pytest.mark.parametrize("payload", [{}, {"payload": None}])
def test_an_object_without_the_payload_is_read_from_the_stream(payload: dict[str, Any]) -> None:
    world = RedriveWorld()
    world.objects["lake", "place.json"] = json.dumps(on_failure_metadata() | payload).encode()
    world.history["kept"] = LINES
    world.add("place", notification("place.json"))
    assert world.run().counts == {"published": 1}
    assert world.stream == LINES
    world.history.clear()
    world.add("expired", notification("place.json"))
    assert world.run().counts == {"expired": 1}


def record_of(lines: int) -> bytes:
    return b"\n".join(encode_trade(trade(number)) for number in range(lines)) + b"\n"


@pytest.mark.parametrize("lines", [MAX_REJECTIONS_OF_RECORD, MAX_REJECTIONS_OF_RECORD + 1])
@pytest.mark.parametrize("oversized", [False, True])
def test_a_record_comes_back_whole_whether_it_was_rejected_whole_or_line_by_line(lines: int, oversized: bool) -> None:
    odd = record_of(lines).replace(b'"feed"', b'"field_of_tomorrow"')
    rejections = decode_batch(parse_kinesis_event(kinesis_event([odd])), ArrivalLimits()).rejections
    assert len(rejections) == (1 if lines > MAX_REJECTIONS_OF_RECORD else lines)
    world = RedriveWorld()
    for number, rejection in enumerate(rejections):
        message = json.loads(message_bytes(rejection))
        # the reader has learned the field
        known = base64.b64decode(message["payload_base64"]).replace(b'"field_of_tomorrow"', b'"feed"')
        message["payload_base64"] = base64.b64encode(known).decode()
        if oversized:
            world.objects["lake", f"{number}.json"] = json.dumps(message).encode()
            message = {"kind": message["kind"], "reason": message["reason"], "document": f"s3://lake/{number}.json"}
        world.add(f"rejected-{number}", message)
    while world.waiting:
        assert world.run(limit=100).counts.keys() == {"published"}
    assert world.stream == record_of(lines).splitlines()


def test_a_record_that_was_rejected_whole_stays_one_message_while_it_is_broken() -> None:
    world = RedriveWorld()
    world.add("whole", rejected(b"{}\n" * (MAX_REJECTIONS_OF_RECORD + 1)))
    for tries in range(1, MAX_TRIES + 1):
        (outcome,) = world.run().outcomes
        assert outcome.tries == tries
    assert (outcome.action, world.waiting) == ("parked", {})
    assert world.parked()["whole"]["why"] == "its 101 lines are still no trades, 5 times"


def test_broken_lines_of_a_batch_that_are_too_many_for_a_message_each_become_one() -> None:
    world = RedriveWorld()
    broken = [b"broken %d" % number for number in range(MAX_REJECTIONS_OF_RECORD + 1)]
    world.objects["lake", "mixed.json"] = failed_batch([*broken, LINES[0]])
    world.add("mixed", notification("mixed.json"))
    (published,) = [outcome for outcome in world.run().outcomes if outcome.action == "published"]
    assert (published.lines, published.rejected) == (1, len(broken))
    (message,) = map(json.loads, world.waiting.values())
    assert base64.b64decode(message["payload_base64"]) == b"\n".join(broken)
    assert "101 lines are not trades" in message["detail"]


def test_a_record_that_is_no_lines_of_json_is_never_cut() -> None:
    """Not in a failed batch, not in the message about it, and not when that is parked and brought back."""
    whole = b"\xf3\x89\x9a\xc2\x0a\x0bbucket-0001\x1a" + LINES[1] + b"\n" + LINES[2]
    pretty = json.dumps(json.loads(LINES[3]), indent=1).encode()
    world = RedriveWorld()
    world.objects["lake", "mixed.json"] = failed_batch([whole, LINES[0], pretty])
    world.add("mixed", notification("mixed.json"))
    world.run()
    assert world.stream == [LINES[0]]
    while world.waiting:
        messages = [json.loads(body) for body in world.waiting.values()]
        assert [base64.b64decode(message["payload_base64"]) for message in messages] == [whole, pretty]
        assert world.run().counts in ({"left": 2}, {"parked": 2})
    parked = [json.loads(message["body"]) for message in world.parked().values()]
    assert {base64.b64decode(message["payload_base64"]) for message in parked} == {whole, pretty}
    assert ["KPL" in message["detail"] for message in parked].count(True) == 1


def test_records_that_only_the_stream_has_are_parked_whole() -> None:
    whole = b"\x1f\x8b\x08 a\ngzip\nframe"
    world = RedriveWorld()
    metadata = json.loads((EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    world.history[metadata["KinesisBatchInfo"]["shardId"]] = [whole, b"{}\n{}"]
    world.add("place", metadata)
    world.run()
    payloads = [base64.b64decode(json.loads(body)["payload_base64"]) for body in world.waiting.values()]
    assert payloads == [whole, b"{}", b"{}"]
    again = origins_of(message_of_lines([whole, b"{}", b"{}"], "why"))
    assert again == (Inline((whole, b"{}", b"{}")),)


def test_a_trade_from_the_future_comes_in_when_its_time_has_come() -> None:
    """Its record arrives anew, so that nobody changes the trade; until then it is left, and publishes nothing."""
    world = RedriveWorld()
    day_of_run_3 = int(datetime(2026, 1, 18, tzinfo=UTC).timestamp()) * SECOND
    line = encode_trade(trade(1, event_time_ns=day_of_run_3))
    world.add("ahead", rejected(line, reason=Reason.FUTURE))
    assert [dict(world.run().counts) for _ in range(3)] == [{"left": 1}, {"left": 1}, {"published": 1}]
    assert world.stream == [line]


def test_broken_lines_of_a_mixed_batch_are_sent_once_after_the_good_ones() -> None:
    world = RedriveWorld(refuses=True)
    world.objects["lake", "mixed.json"] = failed_batch([b"broken", LINES[0], b"broken too"])
    world.add("mixed", notification("mixed.json"))
    for _ in range(6):
        assert world.run().counts == {"left": 1}
        assert set(world.waiting) == {"mixed"}
    world.refuses = False
    world.run()
    assert world.stream == [LINES[0]]
    assert set(world.waiting) == {"sent-redrive:mixed:0", "sent-redrive:mixed:1"}


@pytest.mark.parametrize("runs", [1, 2])
def test_records_that_the_stream_refused_are_redriven_once_though_two_tell_of_them(runs: int) -> None:
    store, queue = FakeObjectStore(), FakeQueue()
    kept = [PackedRecord("bucket-0001", b"\n".join(LINES[:2]), 2), PackedRecord("bucket-0002", LINES[2], 1)]
    FailedZone(store, queue).keep(kept, "ServiceUnavailable")
    ((key, body),) = store.objects.items()
    world = RedriveWorld()
    world.objects["bucket", key] = body
    told = json.loads(notification(key))
    told["Records"][0]["s3"]["bucket"]["name"] = "bucket"
    world.add("producer", queue.documents[0])
    if runs == 2:
        assert world.run().counts == {"published": 1}
    world.add("s3", told)
    assert world.run().counts == ({"dropped": 1} if runs == 2 else {"published": 1, "dropped": 1})
    assert (world.stream, world.waiting) == (LINES[:3], {})
