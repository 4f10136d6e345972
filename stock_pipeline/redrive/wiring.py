"""`Redrive` with the parts of an environment, for the command, the Lambda and Dagster alike."""

import time
from collections.abc import Callable
from dataclasses import replace

from stock_pipeline.aws.dead_letter_receipt import VISIBILITY_SECONDS, SqsRedriveQueue
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
    queue = SqsRedriveQueue(wiring.dead_letters, time.monotonic_ns)
    sleep = watchful(time.sleep, queue.keep_hidden)
    publisher = wiring.publisher(StayInQueue())

    def wait(attempt: int) -> None:
        queue.keep_hidden()
        publisher.wait(attempt)

    return Redrive(
        queue=queue,
        objects=BucketObjects(wiring.objects),
        history=KinesisHistory(wiring.clients.kinesis, sleep),
        ledger=RedriveLedger(wiring.objects),
        publisher=replace(publisher, wait=wait),
        buckets=wiring.settings.partition_buckets,
        run_id=run_id,
        now=utc_now,
        rate=LineRate(lines_per_second, time.time_ns, sleep),
        limits=wiring.arrival_limits,
    )


def watchful(sleep: Callable[[float], None], keep_hidden: Callable[[], None]) -> Callable[[float], None]:
    """Return a sleep that keeps messages in hand hidden, however long it is."""

    def sleep_in_pieces(seconds: float) -> None:
        while seconds > 0:
            keep_hidden()
            piece = min(seconds, VISIBILITY_SECONDS / 4)
            sleep(piece)
            seconds -= piece

    return sleep_in_pieces
