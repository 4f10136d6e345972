"""One suite over the fakes and over the real adapters on moto: what a test believes of a fake is true."""

import json
import uuid
from datetime import date
from typing import Any

import pytest

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.errors import StateConflictError
from stock_pipeline.streaming.record_packing import PackedRecord
from tests.fakes.stores import FakeCatalog, FakeObjectStore, FakeStateTable
from tests.trades import trade

KEY = SymbolKey("ABC", "sim")
WINDOWS = (5, 20)


@pytest.fixture(scope="module")
def clients(aws_endpoint: str) -> Clients:
    return Clients("us-east-1", endpoint=aws_endpoint, credentials=("local", "local"))


@pytest.fixture
def bucket(clients: Clients) -> str:
    name = f"bucket-{uuid.uuid4()}"
    clients.s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["fake", "moto"])
def object_store(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeObjectStore()
    return ObjectStore(request.getfixturevalue("clients").s3, request.getfixturevalue("bucket"))


@pytest.fixture(params=["fake", "moto"])
def state_table(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeStateTable()
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


def test_a_listing_names_the_objects_under_a_prefix_and_changes_with_their_content(object_store: Any) -> None:
    for key in ("a/2", "a/1", "b/1"):
        object_store.put(key, key.encode())
    before = list(object_store.list("a/"))
    assert [(entry.key, entry.size) for entry in before] == [("a/1", 3), ("a/2", 3)]
    object_store.put("a/2", b"new")
    after = list(object_store.list("a/"))
    assert after[0] == before[0]
    assert after[1].etag != before[1].etag


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


def test_documents_of_every_size_reach_the_queue_or_the_bucket_with_a_pointer(clients: Clients, bucket: str) -> None:
    url = clients.sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}")["QueueUrl"]
    queue = SqsQueue(clients.sqs, url, ObjectStore(clients.s3, bucket))
    documents = [
        json.dumps({"n": n, "payload_base64": "x" * size}).encode()
        for n, size in enumerate([1, 90_000, 90_000, 90_000, 2_000_000, *[1] * 20])
    ]
    queue.send(documents)
    assert queue.approximate_depth() == len(documents)
    received: list[dict[str, Any]] = []
    while len(received) < len(documents):
        for message in clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
            received.append(json.loads(message["Body"]))
    (pointer,) = [message for message in received if "document" in message]
    key = pointer["document"].removeprefix(f"s3://{bucket}/")
    assert ObjectStore(clients.s3, bucket).get(key) == documents[4]
    assert sorted(message["n"] for message in received) == list(range(len(documents)))


def test_records_are_put_into_the_stream(clients: Clients) -> None:
    name = f"stream-{uuid.uuid4()}"
    clients.kinesis.create_stream(StreamName=name, ShardCount=1)
    assert KinesisStream(clients.kinesis, name).put([PackedRecord("k", b"data", 1)] * 3) == [None] * 3


def test_a_stream_that_is_not_there_is_an_error_and_no_refusal(clients: Clients) -> None:
    with pytest.raises(clients.kinesis.exceptions.ResourceNotFoundException):
        KinesisStream(clients.kinesis, "no-such-stream").put([PackedRecord("k", b"data", 1)])


def test_a_stream_that_can_not_be_reached_refuses_every_record() -> None:
    unreachable = Clients("us-east-1", endpoint="http://127.0.0.1:9", credentials=("local", "local"))
    answers = KinesisStream(unreachable.kinesis, "stream").put([PackedRecord("k", b"data", 1)] * 2)
    assert answers == ["EndpointConnectionError"] * 2
