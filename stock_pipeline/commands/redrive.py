"""`stock-pipeline redrive`: messages of the dead-letter queue back into the stream."""

import argparse
import os

from stock_pipeline.commands.parsers import Commands


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "redrive",
        help="put what landed in the dead-letter queue into the stream again",
        description="Reads messages of the dead-letter queue, checks their lines again, and puts those that are trades "
        "into the stream under their original event ids. A message is deleted only after the stream has confirmed its "
        "lines, or after it was parked under quarantine/parked/ because five tries changed nothing. Settings: "
        "DEAD_LETTER_QUEUE_URL, STREAM_NAME, BUCKET_NAME.",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    parser.add_argument("--limit", type=int, default=500, metavar="N", help="messages at most (default: 500)")
    parser.add_argument("--seconds", type=int, default=300, metavar="N", help="time at most (default: 300)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import random
    import time
    import uuid
    from contextlib import closing
    from datetime import UTC, datetime

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

    settings = Settings.from_env(os.environ)
    with closing(Clients(settings.aws_region)) as clients:
        lake = ObjectStore(clients.s3, settings.bucket_name)
        report = Redrive(
            queue=SqsRedriveQueue(SqsQueue(clients.sqs, settings.require_dead_letter_queue_url(), oversized=lake)),
            objects=BucketObjects(lake),
            history=StreamHistory(clients.kinesis),
            publisher=Publisher(
                stream=KinesisStream(clients.kinesis, settings.stream_name),
                leftovers=StayInQueue(),
                buckets=settings.partition_buckets,
                now_ns=time.time_ns,
                wait=back_off(time.sleep, random.Random()),
            ),
            buckets=settings.partition_buckets,
            run_id=f"cli-{uuid.uuid4()}",
            now=lambda: datetime.now(UTC),
        ).run(options.limit, time.time_ns() + options.seconds * 10**9, dry_run=options.dry_run)
    for outcome in report.outcomes:
        print(f"{outcome.action:<10} {outcome.lines:>6} lines  {outcome.message_id}  {outcome.why}")
    counts = ", ".join(f"{count} {action}" for action, count in sorted(report.counts.items()))
    print(f"{len(report.outcomes)} messages{': ' + counts if counts else ''}{' (dry run)' if options.dry_run else ''}")
    return 0
