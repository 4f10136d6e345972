"""What redrive acts on, in memory: a queue with every form of message, a bucket, an old and a new stream."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from stock_pipeline.domain.redrive_plan import QueueMessage, StreamRange
from stock_pipeline.domain.rejection import Reason, Rejection
from stock_pipeline.domain.trade import Trade
from stock_pipeline.redrive.ledger import RedriveLedger
from stock_pipeline.redrive.line_rate import Unlimited
from stock_pipeline.redrive.ports import Rate
from stock_pipeline.redrive.redrive import Redrive, StayInQueue
from stock_pipeline.redrive.report import RedriveReport
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.streaming.trade_json import decode_trade, encode_trade
from tests.fakes.crashes import Fuse
from tests.support.clock import SECOND
from tests.support.kinesis_events import kinesis_event
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade

EVENTS = Path(__file__).parents[1] / "data" / "aws_events"


@dataclass
class RedriveWorld:
    """Queue, bucket, old and new stream in memory. `fuse` counts the side effects and ends all at one of them."""

    fuse: Fuse = field(default_factory=Fuse)
    waiting: dict[str, str] = field(default_factory=dict)
    deliveries: dict[str, int] = field(default_factory=dict)
    sent_at: dict[str, float] = field(default_factory=dict)
    runs: int = 0
    held: set[str] = field(default_factory=set)
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    own_objects: dict[str, bytes] = field(default_factory=dict)
    history: dict[str, list[bytes]] = field(default_factory=dict)
    stream: list[bytes] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)
    refuses: bool = False

    def add(self, message_id: str, body: str | bytes | dict[str, Any]) -> None:
        if isinstance(body, dict):
            body = json.dumps(body)
        self.waiting[message_id] = body if isinstance(body, str) else body.decode()
        self.sent_at[message_id] = self.now().timestamp()

    def now(self) -> datetime:
        return datetime(2026, 1, 15, tzinfo=UTC) + timedelta(days=self.runs)

    # the queue

    def receive(self, limit: int) -> Sequence["InHand"]:
        chosen = [name for name in self.waiting if name not in self.held][:limit]
        self.held.update(chosen)
        for name in chosen:
            self.deliveries[name] = self.deliveries.get(name, 0) + 1
        return [InHand(self, self._message(name)) for name in chosen]

    def _message(self, name: str) -> QueueMessage:
        return QueueMessage(name, self.waiting[name], self.deliveries[name], self.sent_at[name])

    def send(self, documents: Sequence[bytes]) -> None:
        with self.fuse.around("send"):
            for document in documents:
                self.add(f"sent-{json.loads(document)['rejection_id']}", document)

    def visible_again(self) -> None:
        self.held.clear()

    # objects, history, stream

    def get(self, bucket: str, key: str) -> bytes | None:
        return self.objects.get((bucket, key))

    def get_if_there(self, key: str) -> bytes | None:
        return self.own_objects.get(key)

    def put(self, target: Any, body: Any = None) -> Any:
        if isinstance(target, str):
            with self.fuse.around("put"):
                self.own_objects[target] = body
            return None
        if self.refuses:
            return ["ServiceUnavailable"] * len(target)
        with self.fuse.around("publish"):
            for record in target:
                self.stream += record.data.split(b"\n")
        return [None] * len(target)

    def read(self, place: StreamRange) -> Sequence[bytes] | None:
        return self.history.get(place.shard_id)

    def run(
        self,
        limit: int = 100,
        dry_run: bool = False,
        reason: Reason | None = None,
        rate: Rate | None = None,
        park_expired: bool = False,
    ) -> RedriveReport:
        """One run, named run-1 and so on, a day after the one before."""
        self.runs += 1
        publisher = Publisher(self, StayInQueue(), 4, count(0, SECOND).__next__, lambda _attempt: None)
        run_id, ledger = f"run-{self.runs}", RedriveLedger(self)
        redrive = Redrive(self, self, self, ledger, publisher, 4, run_id, self.now, rate or Unlimited())
        self.visible_again()
        return redrive.run(limit, 10**12, dry_run, reason, park_expired)

    def parked(self) -> dict[str, Any]:
        found = {
            key: json.loads(body) for key, body in self.own_objects.items() if key.startswith("quarantine/parked/")
        }
        return {history["message_id"]: history for history in found.values()}

    def ledger(self, message_id: str) -> list[dict[str, Any]]:
        body = self.own_objects.get(f"redrive/{message_id}.json")
        return json.loads(body)["tries"] if body else []


@dataclass(frozen=True)
class InHand:
    world: RedriveWorld
    message: QueueMessage

    def delete(self) -> None:
        with self.world.fuse.around("delete"):
            del self.world.waiting[self.message.message_id]

    def release(self) -> None: ...

    def put_back(self) -> None:
        self.world.put_back.append(self.message.message_id)


def rejected(payload: bytes, line: int = 0, reason: Reason = Reason.SCHEMA) -> bytes:
    return message_bytes(Rejection(reason, "detail", payload, "shardId-0", "1", line, "bucket-0001", 1.0))


def failed_batch(lines: Sequence[bytes]) -> bytes:
    document = json.loads((EVENTS / "docs_kinesis_on_failure_s3.json").read_text())
    return json.dumps(document | {"payload": json.dumps(kinesis_event(lines))}).encode()


def notification(key: str) -> str:
    event = json.loads((EVENTS / "s3_object_created.json").read_text())
    event["Records"][0]["s3"]["bucket"]["name"] = "lake"
    event["Records"][0]["s3"]["object"]["key"] = key
    return json.dumps(event)


def full_world(fuse: Fuse | None = None) -> tuple[RedriveWorld, set[bytes], set[str]]:
    """Every form of message; the lines that can be repaired, and the messages that never can."""
    world = RedriveWorld(fuse or Fuse())
    lines = [encode_trade(trade(n)) for n in range(14)]
    broken = {
        Reason.NOT_JSON: b"not json",
        Reason.SCHEMA: b"{}",
        Reason.VALUE: replaced(lines[0], price=-1),
        Reason.FUTURE: replaced(lines[0], event_time_ns=4_000_000_000 * SECOND),
    }
    for number, reason in enumerate(Reason, start=10):
        world.add(f"good-{reason}", rejected(lines[number], reason=reason))
        world.add(f"bad-{reason}", rejected(broken[reason], reason=reason))
    world.add("rejected", rejected(lines[0]))
    world.objects["lake", "quarantine/oversized/x.json"] = rejected(lines[1])
    world.add("oversized", {"kind": "rejected_record", "document": "s3://lake/quarantine/oversized/x.json"})
    unpublished = {"partition_key": "k", "data_base64": base64.b64encode(b"\n".join(lines[2:4])).decode()}
    body = json.dumps({"kind": "unpublished_records", "reason": "r", "records": [unpublished]}).encode()
    world.objects["lake", "failed/producer/y.json"] = body
    world.add("unpublished", {"kind": "unpublished_records", "document": "s3://lake/failed/producer/y.json"})
    world.objects["lake", "aws/lambda/id/a b.json"] = failed_batch([b"\n".join([*lines[4:6], b"broken"]), lines[6]])
    world.add("failed-batch", notification("aws/lambda/id/a+b.json"))
    metadata = json.loads((EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    metadata["KinesisBatchInfo"]["shardId"] = "kept"
    world.history["kept"] = [b"\n".join(lines[7:9]), lines[9] + b"\n"]
    world.add("metadata", metadata)
    metadata["KinesisBatchInfo"]["shardId"] = "expired"
    world.add("expired", json.dumps(metadata))
    world.add("too-old", (EVENTS / "recorded_record_age_exceeded.json").read_text())
    world.add("retried", (EVENTS / "recorded_on_failure_sqs.json").read_text())
    world.add("missing-object", notification("gone.json"))
    world.add("unreadable", {"kind": "unreadable_payload", "reason": "value", "payload_base64": ""})
    world.add("no-json", "what is this")
    world.add("unknown", {"kind": "greeting"})
    never = {"missing-object", "unreadable", "no-json", "unknown", *(f"bad-{reason}" for reason in Reason)}
    return world, set(lines), never | {"sent-redrive:failed-batch:0"}


def replaced(line: bytes, **values: Any) -> bytes:
    return json.dumps(json.loads(line) | values).encode()


@lru_cache
def published_trades(lines: tuple[bytes, ...]) -> list[Trade]:
    """What the lake has of a stream's lines once they are compacted."""
    lake = Lake()
    lake.add([decode_trade(line) for line in lines], 1)
    lake.compactor.compact(SESSION)
    return sorted(lake.read(), key=lambda row: row.event_id)


EXPIRED = {"expired", "too-old", "retried"}
"""Of the full world: messages whose records the stream keeps no longer."""
