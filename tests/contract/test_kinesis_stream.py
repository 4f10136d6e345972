"""The stream and its fake do the same: what a test believes of the fake is true of Kinesis."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.streaming.record_packing import PackedRecord
from tests.fakes.kinesis import FakeKinesis
from tests.support.emulated_services import local_clients


@pytest.fixture(scope="module")
def clients(aws_endpoint: str) -> Iterator[Clients]:
    with closing(local_clients(aws_endpoint)) as opened:
        yield opened


@pytest.fixture(params=["fake", "moto"])
def kinesis(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A client and the name of its stream, which has two shards."""
    if request.param == "fake":
        return FakeKinesis(shards=2), "stock-stream"
    client = request.getfixturevalue("clients").kinesis
    name = f"stream-{uuid.uuid4()}"
    client.create_stream(StreamName=name, ShardCount=2)
    return client, name


def read_shard(client: Any, name: str, shard_id: str, **position: Any) -> list[dict[str, Any]]:
    where = position or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(StreamName=name, ShardId=shard_id, **where)["ShardIterator"]
    records: list[dict[str, Any]] = client.get_records(ShardIterator=iterator)["Records"]
    return records


def test_records_of_a_shard_are_read_in_the_order_of_putting(kinesis: tuple[Any, str]) -> None:
    client, name = kinesis
    records = [PackedRecord(f"key-{n % 7}", b"data %d" % n, 1) for n in range(40)]
    assert KinesisStream(client, name).put(records) == [None] * 40
    read: list[PackedRecord] = []
    for shard in client.list_shards(StreamName=name)["Shards"]:
        of_shard = read_shard(client, name, shard["ShardId"])
        numbers = [int(record["SequenceNumber"]) for record in of_shard]
        assert numbers == sorted(set(numbers))
        read += [PackedRecord(record["PartitionKey"], record["Data"], 1) for record in of_shard]
    for key in {record.partition_key for record in records}:
        assert [r for r in read if r.partition_key == key] == [r for r in records if r.partition_key == key]


def test_reading_goes_on_after_a_sequence_number(kinesis: tuple[Any, str]) -> None:
    client, name = kinesis
    KinesisStream(client, name).put([PackedRecord("key", b"data %d" % n, 1) for n in range(5)])
    (shard_id,) = [
        shard["ShardId"]
        for shard in client.list_shards(StreamName=name)["Shards"]
        if read_shard(client, name, shard["ShardId"])
    ]
    third = read_shard(client, name, shard_id)[2]["SequenceNumber"]
    after = read_shard(client, name, shard_id, ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=third)
    assert [record["Data"] for record in after] == [b"data 3", b"data 4"]
    at = read_shard(client, name, shard_id, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=third)
    assert [record["Data"] for record in at] == [b"data 2", b"data 3", b"data 4"]


def test_reading_has_a_limit_and_goes_on_where_it_ended(kinesis: tuple[Any, str]) -> None:
    client, name = kinesis
    KinesisStream(client, name).put([PackedRecord("key", b"data %d" % n, 1) for n in range(5)])
    pages = []
    for shard in client.list_shards(StreamName=name)["Shards"]:
        start = client.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        iterator = start["ShardIterator"]
        while (answer := client.get_records(ShardIterator=iterator, Limit=2))["Records"]:
            pages.append([record["Data"] for record in answer["Records"]])
            iterator = answer["NextShardIterator"]
        assert answer["MillisBehindLatest"] == 0
        assert answer["NextShardIterator"]
    assert pages == [[b"data 0", b"data 1"], [b"data 2", b"data 3"], [b"data 4"]]


def test_a_stream_that_is_not_there_is_an_error_and_no_refusal(clients: Clients) -> None:
    with pytest.raises(clients.kinesis.exceptions.ResourceNotFoundException):
        KinesisStream(clients.kinesis, "no-such-stream").put([PackedRecord("k", b"data", 1)])


def test_a_stream_that_can_not_be_reached_refuses_every_record() -> None:
    with closing(local_clients("http://127.0.0.1:9")) as unreachable:
        answers = KinesisStream(unreachable.kinesis, "stream").put([PackedRecord("k", b"data", 1)] * 2)
    assert answers == ["EndpointConnectionError"] * 2


def test_a_put_without_credentials_is_an_error_and_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with closing(Clients("us-east-1", endpoint="http://127.0.0.1:9")) as nobody, pytest.raises(NoCredentialsError):
        KinesisStream(nobody.kinesis, "stream").put([PackedRecord("k", b"data", 1)])
