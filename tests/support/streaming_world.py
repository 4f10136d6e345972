"""The streaming path with everything around it in memory, and the books of what must not get lost.

Real: publisher, event source poller, processor, AWS adapters. Fake: the clients below them, the clock, and chance. What
happens to calls is decided by `faults`; the rules by which things happen are in the state machine that steps this.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_plus

from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.passing_errors import is_refusal
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.rejection import Rejection
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.local.event_source.failure_destination import S3FailureDestination
from stock_pipeline.local.event_source.function_runtime import LocalFunction
from stock_pipeline.local.event_source.mapping import EventSourceMapping
from stock_pipeline.local.event_source.poller import EventSourcePoller
from stock_pipeline.local.event_source.shard_consumer import PollerWiring
from stock_pipeline.local.event_source.shard_record import kinesis_event, read_record
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.publisher import FailedZone, Publisher
from stock_pipeline.streaming.rejection_message import parse_rejection_message
from tests.fakes.clients import FakeDynamoDbClient, FakeS3Client, FakeSqsClient
from tests.fakes.crashes import Crashed
from tests.fakes.faults import Faults, FaultyClient
from tests.fakes.kinesis import FakeKinesis
from tests.fakes.machine import fake_machine
from tests.support.clock import Clock
from tests.support.scripts import load_script
from tests.support.stream_batches import FUNCTION_ARN, SOURCE
from tests.support.streaming_books import Books, Line, Record, records_of

WINDOWS = (2, 3)
BUCKETS = 4
PUBLISH_SECONDS = 5
LAST_SECONDS = load_script("lambdas/processor/app.py").LAST_SECONDS


# The books are settled after each step, and a message of the queue never changes.
@lru_cache(maxsize=10_000)
def message_of(body: str) -> Mapping[str, Any]:
    return MappingProxyType(json.loads(body))


@lru_cache(maxsize=10_000)
def rejection_in(body: str) -> Rejection | None:
    """The rejection that a message of the queue tells of; None if it tells of something else."""
    message = message_of(body)
    return parse_rejection_message(message) if message.get("kind") == "rejected_record" else None


class StreamingWorld:
    def __init__(self, mapping: EventSourceMapping, shards: int, limits: ArrivalLimits | None = None) -> None:
        """limits: what the state remembers; by default everything."""
        limits = limits or ArrivalLimits()
        self.clock = Clock()
        self.machine = fake_machine(self.clock)
        self.faults = Faults(self.clock.pass_by, overtake=self.let_another_copy_work)
        self.kinesis = FakeKinesis(shards, self.clock.now)
        self.s3, self.sqs, self.dynamodb = FakeS3Client(), FakeSqsClient(), FakeDynamoDbClient()
        self.books = Books()
        self.lake = ObjectStore(self._faulty(self.s3), "bucket")  # type: ignore[arg-type]
        self.queue = SqsQueue(self._faulty(self.sqs), "queue", self.lake)  # type: ignore[arg-type]
        self.table = StateTable(self._faulty(self.dynamodb), "table", WINDOWS, limits.remembered_days)  # type: ignore[arg-type]
        # one write at a time, so that the same faults always meet the same calls
        self.processor = Processor(
            self.queue,
            self.lake,
            self.table,
            WINDOWS,
            self._wait,
            limits,
            is_refusal=is_refusal,
            parallel_calls=1,
            now_ns=lambda: int(self.clock.now().timestamp()) * 10**9,
        )
        self.publisher = Publisher(
            KinesisStream(self._faulty(self.kinesis), "stock-stream"),  # type: ignore[arg-type]
            FailedZone(self.lake, self.queue),
            BUCKETS,
            now_ns=lambda: int(self.clock.now().timestamp()) * 10**9,
            wait=lambda _attempt: self.clock.pass_by(1),
        )
        self.events: list[dict[str, Any]] = []
        self.unpublished: list[list[Line]] = []
        self.checkpoints: dict[str, str] = {}
        self.mapping = self.next_mapping = mapping
        self.poller = self._new_poller()

    # What the producer does

    def publish(self, lines: list[Line]) -> None:
        """Publish a page. One that failed half-way is published again later, as from a producer's checkpoint."""
        self.books.handed_over(line for _, line in lines)
        try:
            self.publisher.publish_lines(lines, int(self.clock.now().timestamp() + PUBLISH_SECONDS) * 10**9)
        except Crashed:
            self.faults.revive()
            self.unpublished.append(lines)
        except Exception:
            self.unpublished.append(lines)
        else:
            self._assert_published(lines)

    def publish_what_failed(self) -> None:
        for lines in [self.unpublished.pop() for _ in range(len(self.unpublished))]:
            self.publish(lines)

    # What the consumer does

    def poll(self) -> bool:
        """One round of the poller, which is started again if it dies; whether it has nothing left to do."""
        try:
            poll = self.poller.poll_once(close_windows=True)
        except Crashed:
            self.restart()
            return False
        except Exception:
            # a read that failed for no passing reason; whoever steps the poller tries again
            self.clock.wait(1)
            return False
        if not poll.acted and not poll.is_idle:
            due_in = (poll.next_due_at - self.clock.now()).total_seconds() if poll.next_due_at else 1.0
            self.clock.wait(max(0.0, due_in))
        return poll.is_idle

    def restart(self, mapping: EventSourceMapping | None = None, checkpoints: dict[str, str] | None = None) -> None:
        """Another process goes on from the checkpoints, which may be older than what the last one reached.

        It has other settings than the one before if `next_mapping` was set meanwhile.
        """
        self.faults.revive()
        self.mapping = self.next_mapping = mapping or self.next_mapping
        self.checkpoints = dict(self.checkpoints if checkpoints is None else checkpoints)
        self.poller = self._new_poller()

    def let_another_copy_work(self) -> None:
        """Another Lambda handles the newest records of each shard, whoever else does."""
        for shard in self.kinesis.shards.values():
            if shard.records:
                records = [read_record(SOURCE, shard.shard_id, record) for record in shard.records[-3:]]
                self.processor.handle(kinesis_event(SOURCE, shard.shard_id, records))

    def deliver_again(self, place: int) -> None:
        """A copy of the function that was thought dead answers to an old event."""
        with self.faults.calm():
            self.processor.handle(self.events[place % len(self.events)])

    def put_record(self, partition_key: str, data: bytes) -> None:
        """Another program puts a record of its own form into the stream."""
        self.kinesis.put(partition_key, data)

    def redrive_what_has_come(self) -> int:
        """Put lines that were rejected as from the future into the stream again, once their time has come."""
        lines = {m["payload_base64"] for m in map(message_of, self.sqs.bodies) if m.get("reason") == "future"}
        for line in sorted(lines):
            self.kinesis.put("bucket-0001", base64.b64decode(line))
        return len(lines)

    def redrive(self) -> int:
        """Put what is in `failed/` and announced into the stream again; how many records."""
        lines: list[Line] = []
        for key in sorted(self.announced_keys()):
            document = json.loads(self.s3.objects[key])
            lines += records_of(document)
            del self.s3.objects[key]
        for partition_key, data in lines:
            self.kinesis.put(partition_key, data)
        return len(lines)

    # What is to be seen

    def raw_objects(self) -> dict[str, bytes]:
        return {key: body for key, body in self.s3.objects.items() if key.startswith("raw/")}

    def state(self) -> list[Trade]:
        """All rows of all windows."""
        with self.faults.calm():
            return [trade for held in self.table.read(self._held_keys()).values() for trade in held.state.window]

    def rejected(self) -> dict[str, bytes]:
        """Payloads of rejected lines in the queue, by rejection id."""
        payloads: dict[str, bytes] = {}
        for rejection in filter(None, map(rejection_in, self.sqs.bodies)):
            assert rejection.detail
            assert payloads.setdefault(rejection.rejection_id, rejection.payload) == rejection.payload
        return payloads

    def announced_keys(self) -> set[str]:
        """Objects in `failed/` that a message in the queue points to: an object alone is found by nobody."""
        keys = set()
        for message in map(message_of, self.sqs.bodies):
            if message.get("kind") == "unpublished_records":
                keys.add(message["document"].removeprefix("s3://bucket/"))
            elif "Records" in message:
                keys.add(unquote_plus(message["Records"][0]["s3"]["object"]["key"]))
        return {key for key in keys if key in self.s3.objects}

    def settle_books(self) -> None:
        """Bring the books up to date with what lies in the lake and the queue."""
        self.books.note_lake(self.raw_objects())
        self.books.note_rejected(self.rejected())
        self.books.note_given_up(json.loads(self.s3.objects[key]) for key in self.announced_keys())

    def records_behind_checkpoints(self) -> Iterator[Record]:
        """Every record that the poller will not look at again."""
        for record in self.stream():
            checkpoint = self.checkpoints.get(record.shard_id)
            if checkpoint is not None and int(record.sequence_number) <= int(checkpoint):
                yield record

    def stream(self) -> Iterator[Record]:
        for shard in self.kinesis.shards.values():
            for record in shard.records:
                arrived_at = int(record["ApproximateArrivalTimestamp"].timestamp()) * 10**9
                yield Record(shard.shard_id, record["SequenceNumber"], record["Data"], arrived_at)

    def _new_poller(self) -> EventSourcePoller:
        return EventSourcePoller(
            PollerWiring(
                kinesis=self._faulty(self.kinesis),
                function=LocalFunction(self._handle, FUNCTION_ARN),
                destination=S3FailureDestination(self._faulty(self.s3), "bucket", self._faulty(self.sqs), "queue"),
                mapping=self.mapping,
                source=SOURCE,
                mapping_uuid="00000000-0000-0000-0000-000000000000",
                machine=self.machine,
                checkpoints=self.checkpoints,
            )
        )

    def _handle(self, event: dict[str, Any], context: Any) -> Any:
        self.events.append(event)
        with self.faults.invocation():
            has_time = lambda: context.get_remaining_time_in_millis() > LAST_SECONDS * 1000  # noqa: E731
            return self.faults.around("handle", self.processor.handle, event, has_time)

    def _faulty(self, client: Any) -> FaultyClient:
        return FaultyClient(client, self.faults)

    def _wait(self, _attempt: int) -> None:
        self.clock.pass_by(1)

    def _held_keys(self) -> list[SymbolKey]:
        return [SymbolKey(*key) for key in self.dynamodb.items]

    def _assert_published(self, lines: list[Line]) -> None:
        there = {line for record in self.stream() for line in record.data.split(b"\n")}
        for key in self.announced_keys():
            there |= {line for _, data in records_of(json.loads(self.s3.objects[key])) for line in data.split(b"\n")}
        lost = [line for _, line in lines if not set(line.split(b"\n")) <= there]
        assert not lost, f"neither in the stream nor announced: {lost}"
