"""One suite over the fakes and over the real adapters on moto: what a test believes of a fake is true.

`fake` stands in an adapter's place, `fake client` in that of the boto3 client below the real adapter.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.redrive_pace import QueueDepth
from stock_pipeline.domain.session import trading_days
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.errors import IncompatibleSchemaError, RetryableError, StateConflictError
from stock_pipeline.streaming.record_packing import PackedRecord
from tests.fakes.clients import FakeDynamoDbClient, FakeS3Client, FakeSqsClient
from tests.fakes.kinesis import FakeKinesis
from tests.fakes.stores import FakeCatalog, FakeObjectStore, FakeQueue, FakeStateTable
from tests.trades import trade

KEY = SymbolKey("ABC", "sim")
WINDOWS = (5, 20)


@pytest.fixture(scope="module")
def clients(aws_endpoint: str) -> Iterator[Clients]:
    with closing(Clients("us-east-1", endpoint=aws_endpoint, credentials=("local", "local"))) as opened:
        yield opened


@pytest.fixture
def bucket(clients: Clients) -> str:
    name = f"bucket-{uuid.uuid4()}"
    clients.s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["fake", "fake client", "moto"])
def object_store(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeObjectStore()
    if request.param == "fake client":
        return ObjectStore(FakeS3Client(), "bucket")  # type: ignore[arg-type]
    return ObjectStore(request.getfixturevalue("clients").s3, request.getfixturevalue("bucket"))


@pytest.fixture(params=["fake", "fake client", "moto"])
def state_table(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeStateTable()
    if request.param == "fake client":
        return StateTable(FakeDynamoDbClient(), "table", WINDOWS)  # type: ignore[arg-type]
    dynamodb = request.getfixturevalue("clients").dynamodb
    name = f"table-{uuid.uuid4()}"
    keys = [("symbol", "HASH"), ("feed", "RANGE")]
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return StateTable(dynamodb, name, WINDOWS)


@dataclass
class Mailbox:
    """A queue to send to, and what it holds."""

    queue: Any
    received: Callable[[], list[bytes]]
    client: Any = None
    url: str = "queue"


@pytest.fixture(params=["fake", "fake client", "moto"])
def mailbox(request: pytest.FixtureRequest) -> Mailbox:
    if request.param == "fake":
        fake = FakeQueue()
        return Mailbox(fake, lambda: fake.documents)
    if request.param == "fake client":
        client = FakeSqsClient()
        queue = SqsQueue(client, "queue", ObjectStore(FakeS3Client(), "bucket"))  # type: ignore[arg-type]
        return Mailbox(queue, lambda: [body.encode() for body in client.bodies], client)
    clients: Clients = request.getfixturevalue("clients")
    url = clients.sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}")["QueueUrl"]
    queue = SqsQueue(clients.sqs, url, ObjectStore(clients.s3, request.getfixturevalue("bucket")))
    return Mailbox(queue, lambda: all_messages(clients.sqs, url), clients.sqs, url)


def all_messages(sqs: Any, url: str) -> list[bytes]:
    bodies: list[bytes] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"].encode() for message in messages]
    return bodies


@pytest.fixture(params=["fake", "moto"])
def kinesis(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A client and the name of its stream, which has two shards."""
    if request.param == "fake":
        return FakeKinesis(shards=2), "stock-stream"
    client = request.getfixturevalue("clients").kinesis
    name = f"stream-{uuid.uuid4()}"
    client.create_stream(StreamName=name, ShardCount=2)
    return client, name


@pytest.fixture(params=["fake", "moto"])
def catalog(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeCatalog()
    glue = GlueCatalog(request.getfixturevalue("clients").glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()
    return glue


def state(*numbers: int) -> SymbolState:
    return SymbolState(KEY, ()).merged_with([trade(n) for n in numbers], WINDOWS)


def test_an_object_is_put_once_under_a_key(object_store: Any) -> None:
    assert object_store.put_if_absent("a/1", b"one")
    assert not object_store.put_if_absent("a/1", b"two")
    assert object_store.get("a/1") == b"one"
    assert object_store.get_if_there("a/2") is None


def test_an_object_that_is_put_without_a_condition_replaces_what_was_there(object_store: Any) -> None:
    object_store.put("a/1", b"one")
    object_store.put("a/1", b"two")
    assert object_store.get("a/1") == b"two"
    assert not object_store.put_if_absent("a/1", b"three")
    assert object_store.get_if_there("a/1") == b"two"


def test_a_put_answers_with_the_etag_that_the_listing_shows(clients: Clients, bucket: str) -> None:
    for s3, name in ((FakeS3Client(), "bucket"), (clients.s3, bucket)):
        answer = s3.put_object(Bucket=name, Key="a/1", Body=b"one", ContentType="application/json")  # type: ignore[attr-defined]
        (listed,) = ObjectStore(s3, name).list("a/")  # type: ignore[arg-type]
        assert answer["ETag"] == f'"{listed.etag}"'


def test_a_listing_names_the_objects_under_a_prefix_and_changes_with_their_content(object_store: Any) -> None:
    for key in ("a/2", "a/1", "b/1"):
        object_store.put(key, key.encode())
    before = list(object_store.list("a/"))
    assert [(entry.key, entry.size) for entry in before] == [("a/1", 3), ("a/2", 3)]
    object_store.put("a/2", b"new")
    after = list(object_store.list("a/"))
    assert after[0] == before[0]
    assert after[1].etag != before[1].etag


def test_an_object_is_replaced_only_by_who_read_it_last(object_store: Any) -> None:
    assert object_store.read("head") is None
    assert not object_store.replace("head", b"one", "0" * 32)
    assert object_store.put_if_absent("head", b"one")
    body, etag = object_store.read("head")
    assert body == b"one"
    assert object_store.replace("head", b"two", etag)
    assert not object_store.replace("head", b"three", etag)
    assert object_store.read("head")[0] == b"two"


@pytest.mark.parametrize("size", [0, 1_000, 6_000_000])
def test_a_file_is_uploaded_once_and_downloaded_as_it_was(
    object_store: Any, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stock_pipeline.aws.object_store._PIECE_BYTES", 5 * 1024 * 1024)  # S3's smallest part
    one, other, back = (tmp_path / name for name in ("one", "other", "back"))
    one.write_bytes(bytes(range(250)) * (size // 250))
    other.write_bytes(b"other" * (size // 5))
    assert object_store.upload_if_absent("data", one)
    assert not object_store.upload_if_absent("data", other)
    etag = object_store.read("data")[1]
    object_store.download("data", back, etag)
    assert back.read_bytes() == one.read_bytes()
    with pytest.raises(RetryableError, match="try again"):
        object_store.download("data", back, "0" * 32)
    with pytest.raises(RetryableError, match="try again"):
        object_store.download("nothing", back)


def test_more_objects_than_one_call_takes_are_deleted_and_missing_ones_are_no_error(object_store: Any) -> None:
    for key in ("a/1", "a/2", "b/1"):
        object_store.put(key, b"x")
    object_store.copy("a/1", "c/1")
    object_store.delete([*(f"none/{number}" for number in range(1500)), "a/1", "a/2"])
    assert [listed.key for listed in object_store.list("")] == ["b/1", "c/1"]
    object_store.delete([])


def test_partitions_are_registered_in_batches_and_those_that_are_there_are_kept(catalog: Any) -> None:
    days = list(trading_days(date(2018, 1, 2), date(2018, 12, 31)))
    catalog.publish(days[3], "s3://bucket/published/")
    locations = {day: f"s3://bucket/{day}/" for day in days}
    assert catalog.register(locations) == len(days) - 1
    assert catalog.register(locations) == 0
    assert catalog.published_location(days[3]) == "s3://bucket/published/"
    assert catalog.published_location(days[-1]) == f"s3://bucket/{days[-1]}/"


def test_a_state_is_read_as_it_was_written(state_table: Any) -> None:
    written = state(1, 2).merged_with(
        [trade(2, version=1, status="cancelled", volume=None, capture_mode="quote")], WINDOWS
    )
    assert state_table.read([KEY]) == {}
    state_table.write(written, None)
    held = state_table.read([KEY, SymbolKey("NONE", "sim")])
    assert held[KEY].state == written
    assert held[KEY].revision == written.revision
    assert len(held) == 1


def test_a_state_is_replaced_only_by_who_read_it_last(state_table: Any) -> None:
    state_table.write(state(1), None)
    with pytest.raises(StateConflictError):
        state_table.write(state(2), None)
    state_table.write(state(1, 2), state(1).revision)
    with pytest.raises(StateConflictError):
        state_table.write(state(1, 3), state(1).revision)
    assert state_table.read([KEY])[KEY].state == state(1, 2)


def test_a_state_that_is_not_there_can_not_be_replaced(state_table: Any) -> None:
    with pytest.raises(StateConflictError):
        state_table.write(state(1), "the revision of an item that is gone")
    assert state_table.read([KEY]) == {}


def test_a_write_that_is_repeated_conflicts_with_itself_and_changes_nothing(state_table: Any) -> None:
    state_table.write(state(1), None)
    for replaces in (None, "another"):
        with pytest.raises(StateConflictError):
            state_table.write(state(1), replaces)
    state_table.write(state(1), state(1).revision)
    assert state_table.read([KEY])[KEY].state == state(1)


def test_states_of_one_symbol_in_two_feeds_are_two(state_table: Any) -> None:
    other = SymbolKey(KEY.symbol, "iex")
    state_table.write(state(1), None)
    state_table.write(SymbolState(other, ()).merged_with([trade(2, feed="iex")], WINDOWS), None)
    assert {key: len(held.state.window) for key, held in state_table.read([KEY, other]).items()} == {KEY: 1, other: 1}


def test_more_keys_than_one_read_takes_are_read(state_table: Any) -> None:
    keys = [SymbolKey(f"S{n}", "sim") for n in range(130)]
    for key in keys[::13]:
        state_table.write(SymbolState(key, state(1).window), None)
    assert set(state_table.read(keys)) == set(keys[::13])


def test_a_partition_is_published_and_moved(catalog: Any) -> None:
    session = date(2018, 1, 2)
    assert catalog.published_location(session) is None
    for version in ("s3://bucket/a/", "s3://bucket/b/", "s3://bucket/b/"):
        catalog.publish(session, version)
        assert catalog.published_location(session) == version
    assert catalog.published_location(date(2018, 1, 3)) is None


def test_creating_the_catalog_twice_keeps_it(clients: Clients) -> None:
    glue = GlueCatalog(clients.glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()
    glue.publish(date(2018, 1, 2), "s3://bucket/a/")
    glue.create()
    assert glue.published_locations() == {date(2018, 1, 2): "s3://bucket/a/"}


def test_a_table_gains_columns_and_never_loses_or_changes_one(clients: Clients) -> None:
    glue = GlueCatalog(clients.glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()

    def columns() -> list[str]:
        table = clients.glue.get_table(DatabaseName=glue.database, Name="trades")["Table"]
        return [column["Name"] for column in table["StorageDescriptor"]["Columns"]]

    every = columns()
    older = glue.curated_table_input()
    older["StorageDescriptor"]["Columns"] = list(older["StorageDescriptor"]["Columns"])[:-2]
    clients.glue.update_table(DatabaseName=glue.database, TableInput=older)
    glue.evolve()
    assert columns() == every
    other = glue.curated_table_input()
    other["StorageDescriptor"]["Columns"] = [{"Name": "price", "Type": "double"}]
    clients.glue.update_table(DatabaseName=glue.database, TableInput=other)
    with pytest.raises(IncompatibleSchemaError, match="only add columns"):
        glue.evolve()


def test_documents_of_every_size_reach_the_queue_or_the_bucket_with_a_pointer(clients: Clients, bucket: str) -> None:
    url = clients.sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}")["QueueUrl"]
    queue = SqsQueue(clients.sqs, url, ObjectStore(clients.s3, bucket))
    documents = [
        json.dumps({"n": n, "payload_base64": "x" * size}).encode()
        for n, size in enumerate([1, 90_000, 90_000, 90_000, 2_000_000, *[1] * 20])
    ]
    queue.send(documents)
    assert queue.depth() == QueueDepth(waiting=len(documents), hidden=0)
    received: list[dict[str, Any]] = []
    while len(received) < len(documents):
        for message in clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
            received.append(json.loads(message["Body"]))
    (pointer,) = [message for message in received if "document" in message]
    key = pointer["document"].removeprefix(f"s3://{bucket}/")
    assert ObjectStore(clients.s3, bucket).get(key) == documents[4]
    assert sorted(message["n"] for message in received) == list(range(len(documents)))


def test_every_document_is_in_the_queue_once_and_as_it_was(mailbox: Mailbox) -> None:
    documents = [json.dumps({"n": n, "text": "\u2028 \ud83d\udcc8"}).encode() for n in range(23)]
    mailbox.queue.send(documents[:3])
    mailbox.queue.send([])
    mailbox.queue.send(documents[3:])
    assert sorted(mailbox.received()) == sorted(documents)


def test_a_single_message_lies_beside_those_of_batches(mailbox: Mailbox) -> None:
    mailbox.queue.send([b'{"n":1}'])
    if mailbox.client is None:
        mailbox.queue.send([b'{"n":2}'])
    else:
        mailbox.client.send_message(QueueUrl=mailbox.url, MessageBody='{"n":2}')
    assert sorted(mailbox.received()) == [b'{"n":1}', b'{"n":2}']


def test_a_call_of_more_messages_than_ten_is_refused(clients: Clients) -> None:
    url = clients.sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}")["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
    for sqs in (FakeSqsClient(), clients.sqs):
        with pytest.raises(ClientError, match="TooManyEntriesInBatchRequest"):
            sqs.send_message_batch(QueueUrl=url, Entries=entries)  # type: ignore[attr-defined]


def test_records_are_read_from_their_shard_in_the_order_of_putting(kinesis: tuple[Any, str]) -> None:
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


def read_shard(client: Any, name: str, shard_id: str, **position: Any) -> list[dict[str, Any]]:
    where = position or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(StreamName=name, ShardId=shard_id, **where)["ShardIterator"]
    records: list[dict[str, Any]] = client.get_records(ShardIterator=iterator)["Records"]
    return records


def test_a_stream_that_is_not_there_is_an_error_and_no_refusal(clients: Clients) -> None:
    with pytest.raises(clients.kinesis.exceptions.ResourceNotFoundException):
        KinesisStream(clients.kinesis, "no-such-stream").put([PackedRecord("k", b"data", 1)])


def test_a_stream_that_can_not_be_reached_refuses_every_record() -> None:
    with closing(Clients("us-east-1", endpoint="http://127.0.0.1:9", credentials=("local", "local"))) as unreachable:
        answers = KinesisStream(unreachable.kinesis, "stream").put([PackedRecord("k", b"data", 1)] * 2)
    assert answers == ["EndpointConnectionError"] * 2


def test_a_stream_asked_without_credentials_is_an_error_and_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with closing(Clients("us-east-1", endpoint="http://127.0.0.1:9")) as nobody, pytest.raises(NoCredentialsError):
        KinesisStream(nobody.kinesis, "stream").put([PackedRecord("k", b"data", 1)])
