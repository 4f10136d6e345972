"""Processor Lambda: Kinesis records into the dead-letter queue, the raw lake and the realtime state. Wiring only."""

import os
import time
from functools import lru_cache
from random import Random
from typing import Any

from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.telemetry import Telemetry


@lru_cache(maxsize=1)
def parts() -> tuple[Processor, Telemetry]:
    settings = Settings.from_env(os.environ)
    clients = Clients(settings.aws_region)
    lake = ObjectStore(clients.s3, settings.bucket_name)
    windows = settings.moving_average_windows
    wait = back_off(time.sleep, Random())
    processor = Processor(
        dead_letters=SqsQueue(clients.sqs, settings.require_dead_letter_queue_url(), oversized=lake),
        raw_store=lake,
        state_store=StateTable(clients.dynamodb, settings.state_table_name, windows, settings.state_ttl_days, wait),
        average_windows=windows,
        wait=wait,
    )
    return processor, Telemetry("processor", settings.environment, print, time.time_ns)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch. Return the first record to deliver again (ReportBatchItemFailures)."""
    processor, telemetry = parts()
    report = processor.process(event)
    telemetry.record(report.events(context.aws_request_id, time.time_ns()))
    return dict(report.response())
