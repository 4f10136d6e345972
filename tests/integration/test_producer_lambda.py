"""The producer Lambda's handler against AWS services and a price API, both on loopback."""

import gc
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from stock_pipeline.aws.checkpoint_object import CheckpointObject
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.domain.lake_layout import checkpoint_key
from stock_pipeline.local.lambda_functions import load_handler
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.streaming.record_packing import PackedRecord
from stock_pipeline.streaming.trade_json import decode_trade
from tests.support.alarms import firing
from tests.support.provider_fakes import KEY, SECRET, Answer, ScriptedServer, recorded, scripted_server
from tests.support.stream import stream_lines

# A Lambda's process ends with its connections open; here the next "process" drops them.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SECRET_NAME = "stock-pipeline/dev/provider"
EMPTY = Answer(b'{"trades":{},"next_page_token":null}')


@dataclass(frozen=True)
class Context:
    """A context with less time than lies between two polls: one poll, and the run ends."""

    milliseconds: int = 60_000
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass(frozen=True)
class ProducerWorld:
    stack: LocalStack
    api: ScriptedServer
    log: list[str]

    def run(self, milliseconds: int = 60_000) -> dict[str, Any]:
        # a new process, as after a cold start: only what was stored is remembered
        return load_handler("producer", self.log.append)({}, Context(milliseconds))

    def queue_bodies(self) -> list[str]:
        sqs, url = self.stack.clients.sqs, self.stack.settings.require_dead_letter_queue_url()
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in received.get("Messages", [])]

    def everything_written(self) -> str:
        """All that left the producer: log lines, queue messages, objects, records."""
        lake = self.stack.wiring.objects
        objects = [lake.get(listed.key).decode("utf-8", "replace") for listed in lake.list("")]
        records = [line.decode("utf-8", "replace") for line in stream_lines(self.stack)]
        return "\n".join([*self.log, *self.queue_bodies(), *objects, *records])


@pytest.fixture
def world(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProducerWorld]:
    with scripted_server() as api:
        monkeypatch.setenv("PROVIDER_URL", api.url)
        monkeypatch.setenv("SYMBOLS", "AAPL")
        monkeypatch.setenv("POLL_INTERVAL_SECONDS", "60")
        stack.clients.secretsmanager.create_secret(
            Name=SECRET_NAME, SecretString=json.dumps({"key": KEY, "secret": SECRET})
        )
        yield ProducerWorld(stack, api, [])
        # a Lambda's process ends without closing anything: here, and not in whichever test runs next
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def test_a_run_streams_the_apis_trades_and_keeps_its_checkpoint(world: ProducerWorld) -> None:
    world.api.play(Answer(recorded("alpaca/TestGetMultiTrades.1")), *[EMPTY] * 5)
    answer = world.run()
    trades = [decode_trade(line) for line in stream_lines(world.stack)]
    assert answer == {"published": len(trades), "failure": None}
    assert trades
    assert {trade.feed for trade in trades} == {"iex"}
    assert CheckpointObject(world.stack.wiring.objects, checkpoint_key("alpaca", "iex")).load()
    assert json.loads(world.log[0])["PublishedTrades"] == len(trades)
    assert firing([world.log] * 3) == set()


def test_the_next_run_goes_on_from_the_checkpoint(world: ProducerWorld) -> None:
    world.api.play(*[EMPTY] * 2)
    world.run()
    first = world.api.seen[0].path
    world.api.play(*[EMPTY] * 2)
    world.run()
    assert all("start=" in seen.path for seen in world.api.seen)
    assert world.api.seen[-1].path != first


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"code":40110000,"message":"request is not authorized"}'),
        (403, f'{{"message":"forbidden for {KEY} {SECRET}"}}'.encode()),
    ],
)
def test_a_refused_key_is_one_error_that_hides_the_key(world: ProducerWorld, status: int, body: bytes) -> None:
    world.api.play(*[Answer(body, status)] * 20)
    answer = world.run()
    assert SECRET_NAME in answer["failure"]
    assert len(world.api.seen) == 1
    lines = [json.loads(line) for line in world.log]
    assert [line["message"] for line in lines if line["level"] == "ERROR"] == [answer["failure"]]
    assert sum(line.get("ProviderErrors", 0) for line in lines) == 1
    assert KEY not in world.everything_written()
    assert SECRET not in world.everything_written()
    assert firing([world.log]) == {"producer-refused"}


def test_a_run_that_an_api_ends_badly_is_an_alarm_if_the_next_ones_do_too(world: ProducerWorld) -> None:
    world.api.play(*[Answer(b"away", 503)] * 100)
    answer = world.run()
    assert answer["failure"]
    assert firing([world.log] * 2) == set()
    assert firing([world.log] * 3) == {"producer-unfinished"}
    away = list(world.log)
    world.api.script.clear()
    world.api.play(*[EMPTY] * 5)
    world.log.clear()
    world.run()
    # one run that ends well is enough
    assert firing([away, away, [*away, *world.log]]) == set()


def test_a_checkpoint_from_the_future_is_an_alarm(world: ProducerWorld) -> None:
    ahead_ns = time.time_ns() + 86_400 * 10**9
    checkpoint = json.dumps({"start_ns": 1, "end_ns": ahead_ns, "page_token": None, "query": ""})
    CheckpointObject(world.stack.wiring.objects, checkpoint_key("alpaca", "iex")).save(checkpoint)
    answer = world.run()
    assert "put an older version of it back" in answer["failure"]
    assert world.api.seen == []
    assert firing([world.log]) == {"producer-refused"}


def test_trades_that_the_stream_refuses_are_kept_announced_once_and_an_alarm(
    world: ProducerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: KinesisStream, records: Sequence[PackedRecord]) -> list[str | None]:
        return ["ProvisionedThroughputExceededException"] * len(records)

    monkeypatch.setattr(KinesisStream, "put", refuse)
    world.api.play(Answer(recorded("alpaca/TestGetMultiTrades.1")), *[EMPTY] * 5)
    # ten seconds, of which eight are kept for putting records into failed/
    world.run(milliseconds=10_000)
    (message,) = [json.loads(body) for body in world.queue_bodies()]
    assert message["kind"] == "unpublished_records"
    assert firing([world.log]) == {"kept-trades"}


def test_a_rotated_key_is_fetched_at_its_first_refusal(world: ProducerWorld) -> None:
    warm = load_handler("producer", world.log.append)
    world.api.play(EMPTY)
    warm({}, Context())
    world.stack.clients.secretsmanager.put_secret_value(
        SecretId=SECRET_NAME, SecretString=json.dumps({"key": "PKROTATED", "secret": "also-rotated"})
    )
    world.api.play(Answer(b"{}", 401), Answer(recorded("alpaca/TestGetMultiTrades.1")), EMPTY)
    answer = warm({}, Context())
    assert answer == {"published": len(stream_lines(world.stack)), "failure": None}
    assert answer["published"] > 0
    keys = [seen.headers["apca-api-key-id"] for seen in world.api.seen]
    assert keys[:3] == [KEY, KEY, "PKROTATED"]
    # The new one is refused as well, and the secret has no other.
    world.api.script.clear()
    world.api.play(*[Answer(b"{}", 401)] * 5)
    asked = len(world.api.seen)
    assert SECRET_NAME in warm({}, Context())["failure"]
    assert len(world.api.seen) == asked + 1


def test_an_unreadable_trade_goes_to_the_queue_and_the_rest_on(world: ProducerWorld) -> None:
    page = json.loads(recorded("alpaca/TestGetMultiTrades.1"))
    symbol = next(iter(page["trades"]))
    page["trades"][symbol][0]["p"] = -1
    page["trades"][symbol][0]["note"] = f"seen {SECRET}"
    page["next_page_token"] = None
    world.api.play(Answer(json.dumps(page).encode()), *[EMPTY] * 5)
    world.run()
    (message,) = [json.loads(body) for body in world.queue_bodies()]
    assert (message["kind"], message["reason"]) == ("unreadable_payload", "value")
    assert stream_lines(world.stack)
    assert SECRET not in world.everything_written()


def test_a_secret_of_another_form_is_named_but_not_shown(world: ProducerWorld) -> None:
    world.stack.clients.secretsmanager.put_secret_value(SecretId=SECRET_NAME, SecretString=f"token={SECRET}")
    answer = world.run()
    assert f"the secret {SECRET_NAME} is not of the form" in answer["failure"]
    assert firing([world.log]) == {"producer-refused"}
    assert SECRET not in world.everything_written()
    assert world.api.seen == []


def test_a_missing_secret_says_what_to_do(world: ProducerWorld) -> None:
    world.stack.clients.secretsmanager.delete_secret(SecretId=SECRET_NAME, ForceDeleteWithoutRecovery=True)
    assert "store the API key in it" in world.run()["failure"]
