"""An error of AWS passes or stays by its status class: boto3 against a server that answers with each status."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError

from stock_pipeline.aws import clients
from stock_pipeline.aws.checkpoint_object import CheckpointObject
from stock_pipeline.aws.clients import ANSWER_SECONDS
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.dead_letter_receipt import SqsRedriveQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.passing_errors import is_refusal
from stock_pipeline.aws.secrets import SecretReader
from stock_pipeline.aws.stream_history import KinesisHistory
from stock_pipeline.domain.redrive_plan import StreamRange
from stock_pipeline.errors import RetryableError
from stock_pipeline.streaming.back_off import BACK_OFF
from stock_pipeline.streaming.record_packing import PackedRecord
from tests.support.scripts import load_script

RECORDS = [PackedRecord("bucket-0001", b"data", 1)] * 2


class Refusal:
    """What the server answers, always."""

    def __init__(self, status: int, code: str | None) -> None:
        self.status = status
        self.body = b"" if code is None else json.dumps({"__type": code, "message": "by the test"}).encode()


@contextmanager
def server_answering(refusal: Refusal) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(refusal.status)
            self.send_header("Content-Length", str(len(refusal.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(refusal.body)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def client(service: str, endpoint: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}, proxies={}),
    )


def store_at(url: str) -> ObjectStore:
    return ObjectStore(client("s3", url), "bucket")


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, "ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException"),
        (400, "LimitExceededException", "LimitExceededException"),
        (400, "ThrottlingException", "ThrottlingException"),
        (400, "KMSThrottlingException", "KMSThrottlingException"),
        (429, "TooManyRequests", "TooManyRequests"),
        (500, "InternalFailureException", "InternalFailureException"),
        (500, "SomethingNeverSeenBefore", "SomethingNeverSeenBefore"),
        (503, "ServiceUnavailable", "ServiceUnavailable"),
        (500, None, "500"),
        (503, None, "503"),
    ],
)
def test_a_call_that_fails_for_a_passing_reason_refuses_every_record(status: int, code: str | None, told: str) -> None:
    with server_answering(Refusal(status, code)) as url, closing(client("kinesis", url)) as kinesis:
        assert KinesisStream(kinesis, "stream").put(RECORDS) == [told] * 2


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ResourceNotFoundException"), (400, "AccessDeniedException"), (400, "KMSDisabledException"), (403, None)],
)
def test_a_call_that_will_fail_again_is_raised(status: int, code: str | None) -> None:
    with (
        server_answering(Refusal(status, code)) as url,
        closing(client("kinesis", url)) as kinesis,
        pytest.raises(ClientError),
    ):
        KinesisStream(kinesis, "stream").put(RECORDS)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_bucket_or_a_queue_that_is_away_for_a_moment_is_worth_another_try(status: int) -> None:
    with server_answering(Refusal(status, None)) as url:
        with pytest.raises(RetryableError, match="the bucket bucket is away"):
            store_at(url).put_if_absent("failed/key", b"body")
        with pytest.raises(RetryableError, match=f"away for now \\({status}\\)"):
            SqsQueue(client("sqs", url), url + "/queue", store_at(url)).send([b"{}"])
        with pytest.raises(RetryableError, match=f"away for now \\({status}\\)"):
            SqsRedriveQueue(SqsQueue(client("sqs", url), url + "/queue", store_at(url))).receive(10)
        checkpoint = CheckpointObject(store_at(url), "checkpoints/alpaca-iex.json")
        with pytest.raises(RetryableError, match="the bucket bucket is away"):
            checkpoint.load()
        with pytest.raises(RetryableError, match="the bucket bucket is away"):
            checkpoint.save("somewhere")
        with pytest.raises(RetryableError, match="Secrets Manager is away"):
            SecretReader(client("secretsmanager", url), lambda: 0).read("stock-pipeline/dev/provider")
        place = StreamRange("arn:aws:kinesis:us-east-1:1:stream/s", "shardId-000000000000", "1", "2", 1)
        with pytest.raises(RetryableError, match="the shard shardId-000000000000 is away"):
            KinesisHistory(client("kinesis", url), lambda _seconds: None).read(place)


def test_a_bucket_that_refuses_for_good_is_no_passing_trouble() -> None:
    with server_answering(Refusal(403, None)) as url, pytest.raises(ClientError):
        store_at(url).put_if_absent("failed/key", b"body")


def test_a_bucket_that_can_not_be_reached_is_worth_another_try() -> None:
    with pytest.raises(RetryableError, match="EndpointConnectionError"):
        store_at("http://127.0.0.1:9").put_if_absent("failed/key", b"body")


@pytest.mark.parametrize(
    ("status", "code", "refuses"),
    [
        (400, "AccessDeniedException", True),
        (400, "UnrecognizedClientException", True),
        (400, "ExpiredTokenException", True),
        (400, "ResourceNotFoundException", True),
        (400, "KMSDisabledException", True),
        (403, "RequestThrottled", False),
        (400, "ProvisionedThroughputExceededException", False),
        (400, "ValidationException", False),
        (400, "ConditionalCheckFailedException", False),
        (500, "AccessDeniedException", False),
        (503, None, False),
    ],
)
def test_a_refusal_is_told_from_what_passes_and_from_what_the_request_is_at_fault_for(
    status: int, code: str | None, refuses: bool
) -> None:
    with (
        server_answering(Refusal(status, code)) as url,
        closing(client("dynamodb", url)) as dynamodb,
        pytest.raises(ClientError) as raised,
    ):
        dynamodb.put_item(TableName="table", Item={"symbol": {"S": "ABC"}})
    assert is_refusal(raised.value) == refuses


def test_a_bucket_that_forbids_refuses_though_it_says_nothing() -> None:
    with server_answering(Refusal(403, None)) as url, pytest.raises(ClientError) as raised:
        store_at(url).put_if_absent("failed/key", b"body")
    assert is_refusal(raised.value)


def test_a_role_without_credentials_is_refused() -> None:
    assert is_refusal(NoCredentialsError())
    assert not is_refusal(ValueError("a defect"))


@contextmanager
def silent_server() -> Iterator[socket.socket]:
    """A server that lets clients connect and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def connections(server: socket.socket) -> int:
    """Return how many clients have connected."""
    server.setblocking(False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            count += 1
    return count


def test_a_hurried_call_is_tried_once_and_soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time-outs bound it: the invocation keeps more time than that for its answer."""
    monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.2)
    with silent_server() as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with (
            closing(clients.Clients("us-east-1", url, ("local", "local"), hurried=True)) as made,
            pytest.raises(RetryableError, match="ReadTimeoutError"),
        ):
            ObjectStore(made.s3, "bucket").put_if_absent("key", b"body")
        assert connections(server) == 1
    last_seconds = load_script("lambdas/processor/app.py").LAST_SECONDS
    assert last_seconds > 2 * (clients.CONNECT_SECONDS + ANSWER_SECONDS)
    assert BACK_OFF.longest_seconds < last_seconds
