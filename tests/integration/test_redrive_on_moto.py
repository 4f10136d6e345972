"""Redrive against AWS services on loopback: what the processor rejected or failed on comes back, once."""

import json
from collections.abc import Iterable

import pytest

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.cli import main
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.redrive.parked_messages import unpark
from stock_pipeline.streaming.trade_json import decode_trade, encode_trade
from tests.support.redrive_world import rejected
from tests.support.stream import stream_lines
from tests.support.trades import trade


def send(stack: LocalStack, body: str) -> None:
    stack.clients.sqs.send_message(QueueUrl=stack.settings.require_dead_letter_queue_url(), MessageBody=body)


def depth(stack: LocalStack) -> int:
    answer = stack.clients.sqs.get_queue_attributes(
        QueueUrl=stack.settings.require_dead_letter_queue_url(),
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(int(value) for value in answer["Attributes"].values())


def test_a_repaired_line_is_published_and_its_message_deleted(
    stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    line = encode_trade(trade(1))
    send(stack, rejected(line).decode())
    send(stack, rejected(b"not json", line=1).decode())
    assert main(["redrive", "--dry-run", "--limit", "0"]) == 0
    assert main(["redrive"]) == 0
    assert stream_lines(stack) == [line]
    assert depth(stack) == 1
    assert "2 messages: 1 left, 1 published" in capsys.readouterr().out


def test_a_batch_without_payload_is_read_from_the_stream_again(stack: LocalStack) -> None:
    kinesis, name = stack.clients.kinesis, stack.settings.stream_name
    placed = [
        kinesis.put_record(StreamName=name, PartitionKey="bucket-0001", Data=encode_trade(trade(number)))
        for number in range(5)
    ]
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    batch = {
        "shardId": placed[1]["ShardId"],
        "startSequenceNumber": placed[1]["SequenceNumber"],
        "endSequenceNumber": placed[3]["SequenceNumber"],
        "batchSize": 3,
        "streamArn": summary["StreamARN"],
    }
    send(stack, json.dumps({"version": "1.0", "KinesisBatchInfo": batch}))
    assert main(["redrive"]) == 0
    numbers = sorted(decode_trade(line).sequence for line in stream_lines(stack))
    assert numbers == [0, 1, 1, 2, 2, 3, 3, 4]
    assert depth(stack) == 0


def send_expired(stack: LocalStack) -> None:
    """Send the place of a failed batch whose records the stream keeps no longer."""
    summary = stack.clients.kinesis.describe_stream_summary(StreamName=stack.settings.stream_name)
    batch = {
        "shardId": "shardId-000000000099",
        "startSequenceNumber": "1",
        "endSequenceNumber": "2",
        "batchSize": 2,
        "streamArn": summary["StreamDescriptionSummary"]["StreamARN"],
    }
    send(stack, json.dumps({"version": "1.0", "KinesisBatchInfo": batch}))


def test_an_expired_batch_stays_in_the_queue_and_says_so(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    send_expired(stack)
    assert main(["redrive"]) == 0
    printed = capsys.readouterr().out
    assert "keeps the 2 records of shardId-000000000099 no longer" in printed
    assert "1 messages: 1 expired" in printed
    assert (depth(stack), parked(stack)) == (1, [])


def test_an_expired_batch_is_parked_on_demand(stack: LocalStack) -> None:
    send_expired(stack)
    assert main(["redrive", "--park-expired", "--dry-run"]) == 0
    assert (depth(stack), parked(stack)) == (1, [])
    assert main(["redrive", "--park-expired"]) == 0
    assert (depth(stack), len(parked(stack))) == (0, 1)


def test_a_reason_and_a_rate_choose_what_goes_and_how_fast(
    stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [encode_trade(trade(number)) for number in range(3)]
    for line, reason in zip(lines, (Reason.VALUE, Reason.SCHEMA, Reason.VALUE), strict=True):
        send(stack, rejected(line, reason=reason).decode())
    assert main(["redrive", "--reason", "value", "--lines-per-second", "500"]) == 0
    assert "2 messages: 2 published" in capsys.readouterr().out
    assert sorted(stream_lines(stack)) == sorted([lines[0], lines[2]])
    assert depth(stack) == 1
    assert main(["redrive"]) == 0  # what was not chosen waits for nothing
    assert sorted(stream_lines(stack)) == sorted(lines)
    with pytest.raises(SystemExit):
        main(["redrive", "--reason", "mood"])


def parked(stack: LocalStack) -> list[str]:
    bucket = stack.settings.bucket_name
    listed = stack.clients.s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/parked/").get("Contents", [])
    return [entry["Key"] for entry in listed]


def park(stack: LocalStack, body: str, name: str) -> None:
    history = {"message_id": name, "body": body, "tries": 5, "why": "the line is still no trade, 5 times"}
    stack.clients.s3.put_object(
        Bucket=stack.settings.bucket_name, Key=f"quarantine/parked/{name}.json", Body=json.dumps(history).encode()
    )


def test_a_parked_message_comes_back_after_a_repair(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    line = encode_trade(trade(1))
    park(stack, rejected(line, reason=Reason.SCHEMA).decode(), "repaired")
    park(stack, rejected(b"not json", reason=Reason.NOT_JSON).decode(), "other")
    park(stack, "what is this", "unknown")
    assert main(["redrive", "--parked", "--dry-run"]) == 0
    assert len(parked(stack)) == 3
    assert main(["redrive", "--parked", "--reason", "schema"]) == 0
    assert "1 parked messages are in the queue again" in capsys.readouterr().out
    assert stream_lines(stack) == [line]
    assert len(parked(stack)) == 2
    assert main(["redrive", "--parked"]) == 0
    assert "2 messages: 1 left, 1 parked" in capsys.readouterr().out
    assert len(parked(stack)) == 1  # again, at once: nobody understands it


def test_a_crash_of_unparking_leaves_the_message_in_both_places(stack: LocalStack) -> None:
    class Dies(ObjectStore):
        def delete(self, keys: Iterable[str]) -> None:
            raise KeyboardInterrupt

    line = encode_trade(trade(1))
    park(stack, rejected(line).decode(), "repaired")
    store = Dies(stack.clients.s3, stack.settings.bucket_name)
    with pytest.raises(KeyboardInterrupt):
        unpark(store, stack.wiring.dead_letters, 10)
    assert (depth(stack), len(parked(stack))) == (1, 1)
    assert main(["redrive", "--parked"]) == 0
    assert set(stream_lines(stack)) == {line}
    assert (depth(stack), parked(stack)) == (0, [])
