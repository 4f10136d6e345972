"""`Redrive` with the parts of an environment, for the command, the Lambda and Dagster alike."""

import time

from stock_pipeline.aws.dead_letter_receipt import SqsRedriveQueue
from stock_pipeline.aws.object_store import BucketObjects
from stock_pipeline.aws.stream_history import KinesisHistory
from stock_pipeline.redrive.ledger import RedriveLedger
from stock_pipeline.redrive.line_rate import LineRate
from stock_pipeline.redrive.redrive import Redrive, StayInQueue
from stock_pipeline.wiring import Wiring, utc_now

DEFAULT_LIMIT = 500
DEFAULT_LINES_PER_SECOND = 1_000
"""A quarter of what one shard takes."""


def wired_redrive(wiring: Wiring, run_id: str, lines_per_second: int = DEFAULT_LINES_PER_SECOND) -> Redrive:
    """Return a redrive of the environment's queue.

    run_id: names the run in the ledger.
    """
    return Redrive(
        queue=SqsRedriveQueue(wiring.dead_letters),
        objects=BucketObjects(wiring.objects),
        history=KinesisHistory(wiring.clients.kinesis),
        ledger=RedriveLedger(wiring.objects),
        publisher=wiring.publisher(StayInQueue()),
        buckets=wiring.settings.partition_buckets,
        run_id=run_id,
        now=utc_now,
        rate=LineRate(lines_per_second, time.time_ns, time.sleep),
    )
