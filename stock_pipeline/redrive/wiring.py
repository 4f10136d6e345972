"""`Redrive` with what it acts on in an account or on the local stack: the one wiring of command, Lambda and Dagster.

It stands above `streaming` and `aws`, which do not know each other, and is part of the Lambda packages.
"""

import time
from datetime import UTC, datetime
from random import Random

from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.dead_letter_receipt import SqsRedriveQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import BucketObjects, ObjectStore
from stock_pipeline.aws.stream_history import KinesisHistory
from stock_pipeline.redrive.ledger import RedriveLedger
from stock_pipeline.redrive.line_rate import LineRate
from stock_pipeline.redrive.redrive import Redrive, StayInQueue
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.publisher import Publisher

DEFAULT_LIMIT = 500
DEFAULT_LINES_PER_SECOND = 1_000
"""A quarter of what one shard takes."""


def dead_letter_queue(clients: Clients, settings: Settings) -> SqsQueue:
    lake = ObjectStore(clients.s3, settings.bucket_name)
    return SqsQueue(clients.sqs, settings.require_dead_letter_queue_url(), oversized=lake)


def wired_redrive(
    clients: Clients, settings: Settings, run_id: str, lines_per_second: int = DEFAULT_LINES_PER_SECOND
) -> Redrive:
    """run_id: names the run in the ledger."""
    lake = ObjectStore(clients.s3, settings.bucket_name)
    return Redrive(
        queue=SqsRedriveQueue(dead_letter_queue(clients, settings)),
        objects=BucketObjects(lake),
        history=KinesisHistory(clients.kinesis),
        ledger=RedriveLedger(lake),
        publisher=Publisher(
            stream=KinesisStream(clients.kinesis, settings.stream_name),
            leftovers=StayInQueue(),
            buckets=settings.partition_buckets,
            now_ns=time.time_ns,
            wait=back_off(time.sleep, Random()),
        ),
        buckets=settings.partition_buckets,
        run_id=run_id,
        now=lambda: datetime.now(UTC),
        rate=LineRate(lines_per_second, time.time_ns, time.sleep),
    )
