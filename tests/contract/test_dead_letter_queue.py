"""The dead-letter queue and its fakes do the same, so what a test sees of a fake is true of SQS."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.redrive_pace import QueueDepth
from tests.fakes.clients import FakeS3Client, FakeSqsClient
from tests.fakes.stores import FakeQueue
from tests.support.emulated_services import local_clients, new_bucket


@pytest.fixture(scope="module")
def clients(aws_endpoint: str) -> Iterator[Clients]:
    with closing(local_clients(aws_endpoint)) as opened:
        yield opened


@dataclass
class Mailbox:
    """A queue to send to, and its messages."""

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
    queue = SqsQueue(clients.sqs, url, ObjectStore(clients.s3, new_bucket(clients)))
    return Mailbox(queue, lambda: all_messages(clients.sqs, url), clients.sqs, url)


def all_messages(sqs: Any, url: str) -> list[bytes]:
    bodies: list[bytes] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"].encode() for message in messages]
    return bodies


def test_documents_of_every_size_reach_the_queue(clients: Clients) -> None:
    bucket = new_bucket(clients)
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


@pytest.mark.parametrize("mailbox", ["fake client", "moto"], indirect=True)
def test_a_single_message_lies_beside_those_of_batches(mailbox: Mailbox) -> None:
    mailbox.queue.send([b'{"n":1}'])
    mailbox.client.send_message(QueueUrl=mailbox.url, MessageBody='{"n":2}')
    assert sorted(mailbox.received()) == [b'{"n":1}', b'{"n":2}']


def test_a_call_of_more_messages_than_ten_is_refused(clients: Clients) -> None:
    url = clients.sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}")["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
    for sqs in (FakeSqsClient(), clients.sqs):
        with pytest.raises(ClientError, match="TooManyEntriesInBatchRequest"):
            sqs.send_message_batch(QueueUrl=url, Entries=entries)  # type: ignore[attr-defined]
