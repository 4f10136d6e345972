"""A batch that the processor can never finish: redriven a few times, then parked, while everything beside it goes on.

Real: processor, event source poller, publisher, redrive and its pace. In memory: the clients below them, and the clock.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.dead_letter_receipt import SqsRedriveQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import BucketObjects, ObjectStore
from stock_pipeline.aws.passing_errors import is_refusal
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.aws.stream_history import KinesisHistory
from stock_pipeline.domain.redrive_pace import Pace, after_asking, after_emptying, due_at, nothing_came_back
from stock_pipeline.domain.redrive_plan import MAX_TRIES
from stock_pipeline.local.event_source.failure_destination import S3FailureDestination
from stock_pipeline.local.event_source.function_runtime import LocalFunction
from stock_pipeline.local.event_source.poller import EventSourcePoller
from stock_pipeline.local.event_source.shard_consumer import PollerWiring
from stock_pipeline.redrive.ledger import RedriveLedger
from stock_pipeline.redrive.redrive import Redrive, StayInQueue
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.clients import FakeDynamoDbClient, FakeS3Client
from tests.fakes.faults import client_error
from tests.fakes.kinesis import FakeKinesis
from tests.fakes.machine import fake_machine
from tests.fakes.sqs import TimedSqsClient
from tests.support.clock import Clock
from tests.support.scripts import load_script
from tests.support.stream_batches import FUNCTION_ARN, MAPPING, SOURCE
from tests.support.trades import trade

DAY_SECONDS = 24 * 3_600
TICK_SECONDS = 180
POISON = "XYZ"
LAST_SECONDS = load_script("lambdas/processor/app.py").LAST_SECONDS


class RefusingTable(FakeDynamoDbClient):
    """Refuses one symbol for good, or every one (None)."""

    def __init__(self, code: str, symbol: str | None) -> None:
        super().__init__()
        self.code, self.symbol = code, symbol

    def put_item(self, *, Item: dict[str, Any], **condition: Any) -> dict[str, Any]:
        if self.symbol in (None, Item["symbol"]["S"]):
            raise client_error("PutItem", self.code)
        return super().put_item(Item=Item, **condition)


class Account:
    def __init__(self, code: str, refused: str | None = POISON) -> None:
        self.clock = Clock()
        self.kinesis = FakeKinesis(1, self.clock.now)
        self.s3, self.sqs = FakeS3Client(), TimedSqsClient(self._now_ns)
        self.dynamodb = RefusingTable(code, refused)
        s3, sqs, kinesis, dynamodb = self._clients()
        self.lake = ObjectStore(s3, "bucket")
        self.queue = SqsQueue(sqs, "queue", self.lake)
        self.stream = KinesisStream(kinesis, "stock-stream")
        table = StateTable(dynamodb, "table", (2, 3))
        self.processor = Processor(
            self.queue, self.lake, table, (2, 3), self._wait, is_refusal=is_refusal, parallel_calls=1
        )
        self.invocations = 0
        self.poller = EventSourcePoller(
            PollerWiring(
                kinesis=kinesis,
                function=LocalFunction(self._handle, FUNCTION_ARN),
                destination=S3FailureDestination(s3, "bucket", sqs, "queue"),
                mapping=MAPPING,
                source=SOURCE,
                mapping_uuid="00000000-0000-0000-0000-000000000000",
                machine=fake_machine(self.clock),
            )
        )
        self.runs: list[dict[str, int]] = []
        self.published = 0

    def publish(self, *symbols: str) -> None:
        for symbol in symbols:
            self.published += 1
            row = trade(self.published, symbol=symbol, event_id=f"sim:{symbol}:{self.published}", price=Decimal(10))
            self.kinesis.put("bucket-0001", encode_trade(row))

    def process(self) -> None:
        while True:
            poll = self.poller.poll_once(close_windows=True)
            if poll.is_idle:
                return
            if not poll.acted and poll.next_due_at is not None:
                self.clock.wait(max(0.0, (poll.next_due_at - self.clock.now()).total_seconds()))

    def redrive(self) -> None:
        _, _, kinesis, _ = self._clients()
        report = Redrive(
            queue=SqsRedriveQueue(self.queue, self._now_ns),
            objects=BucketObjects(self.lake),
            history=KinesisHistory(kinesis, self.clock.pass_by),
            ledger=RedriveLedger(self.lake),
            publisher=Publisher(self.stream, StayInQueue(), 4, self._now_ns, self._wait),
            buckets=4,
            run_id=f"run-{len(self.runs) + 1}",
            now=lambda: datetime(2026, 11, 20, tzinfo=UTC),
        ).run(500, self._now_ns() + 240 * 10**9)
        self.runs.append(dict(report.counts))

    def parked(self) -> list[dict[str, Any]]:
        return [json.loads(body) for key, body in self.s3.objects.items() if key.startswith("quarantine/parked/")]

    def _handle(self, event: dict[str, Any], context: Any) -> Any:
        self.invocations += 1
        return self.processor.handle(event, lambda: context.get_remaining_time_in_millis() > LAST_SECONDS * 1000)

    def _clients(self) -> Sequence[Any]:
        return self.s3, self.sqs, self.kinesis, self.dynamodb

    def _now_ns(self) -> int:
        return int(self.clock.now().timestamp() * 10**6) * 10**3

    def _wait(self, _attempt: int) -> None:
        self.clock.pass_by(1)


@pytest.mark.parametrize("code", ["ValidationException", "ThrottlingException"])
def test_a_symbol_that_can_never_be_written_costs_a_handful_of_runs_a_day(code: str) -> None:
    """A live trade of another symbol comes with every tick, so that each failed batch has other neighbours."""
    account, pace = Account(code), Pace()
    account.publish("ABC", POISON, "KLM", POISON)
    began = account.clock.now()
    while (account.clock.now() - began).total_seconds() < DAY_SECONDS:
        account.publish("ABC")
        account.process()
        now, depth = int(account.clock.now().timestamp()), account.queue.depth()
        if not depth.total:
            pace = after_emptying(pace) if nothing_came_back(pace, now) else pace
        elif depth.waiting and now >= due_at(pace, depth):
            pace = after_asking(pace, depth, now)
            account.redrive()
        account.clock.pass_by(TICK_SECONDS)
    assert len(account.runs) == MAX_TRIES
    assert [run.keys() for run in account.runs] == [{"published"}] * (MAX_TRIES - 1) + [{"parked"}]
    assert account.sqs.messages == {}
    assert {message["why"].rpartition(", ")[2] for message in account.parked()} == {f"{MAX_TRIES} times"}
    assert ("ABC", "sim") in account.dynamodb.items
    assert (POISON, "sim") not in account.dynamodb.items


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "ExpiredTokenException",
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "KMSAccessDeniedException",
        "ResourceNotFoundException",
        "SomethingNew",
        "ThrottlingException",
        "ValidationException",
    ],
)
def test_a_table_that_is_away_costs_a_batch_its_tries_and_nothing_more(code: str) -> None:
    """Halving finds no record at fault, where none is: one raw file, and one object for the batch that is given up."""
    account = Account(code, refused=None)
    symbols = [f"S{number:03}" for number in range(MAPPING.batch_size)]
    account.publish(*symbols)
    account.process()
    assert account.invocations == MAPPING.maximum_retry_attempts + 1
    kinds = [key.partition("/")[0] for key in account.s3.objects]
    assert sorted(kinds) == ["failed", "raw"]
    # nothing is lost: once the table is there again, redrive brings all of it
    account.dynamodb.symbol = "nobody"
    account.redrive()
    account.process()
    assert {symbol for symbol, _ in account.dynamodb.items} == set(symbols)
    assert account.sqs.messages == {}
