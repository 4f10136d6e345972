"""Redrive Lambda: messages of the dead-letter queue back into the stream. Wiring only."""

import os
import time
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any

from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.dead_letter_receipt import SqsRedriveQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import BucketObjects, ObjectStore
from stock_pipeline.aws.stream_history import StreamHistory
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.redrive import Redrive, StayInQueue
from stock_pipeline.streaming.telemetry import Telemetry

LAST_SECONDS = 20
DEFAULT_LIMIT = 500


@lru_cache(maxsize=1)
def clients() -> Clients:
    return Clients(Settings.from_env(os.environ).aws_region)


def redrive(settings: Settings, run_id: str) -> Redrive:
    lake = ObjectStore(clients().s3, settings.bucket_name)
    return Redrive(
        queue=SqsRedriveQueue(SqsQueue(clients().sqs, settings.require_dead_letter_queue_url(), oversized=lake)),
        objects=BucketObjects(lake),
        history=StreamHistory(clients().kinesis),
        publisher=Publisher(
            stream=KinesisStream(clients().kinesis, settings.stream_name),
            leftovers=StayInQueue(),
            buckets=settings.partition_buckets,
            now_ns=time.time_ns,
            wait=back_off(time.sleep, Random()),
        ),
        buckets=settings.partition_buckets,
        run_id=run_id,
        now=lambda: datetime.now(UTC),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes {"limit": messages at most, "dry_run": decide only}; answers with the number of messages by outcome."""
    settings = Settings.from_env(os.environ)
    telemetry = Telemetry("redrive", settings.environment, print, time.time_ns)
    deadline_ns = time.time_ns() + context.get_remaining_time_in_millis() * 10**6 - LAST_SECONDS * 10**9
    report = redrive(settings, context.aws_request_id).run(
        int(event.get("limit", DEFAULT_LIMIT)), deadline_ns, dry_run=bool(event.get("dry_run", False))
    )
    telemetry.redriven(report, context.aws_request_id)
    return dict(report.counts)
