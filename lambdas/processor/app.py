"""Processor Lambda: Kinesis records into the raw lake, the dead-letter queue and the realtime state. Wiring only."""

import os
import time
from functools import lru_cache
from typing import Any

import boto3

from stock_pipeline.aws.passing_errors import is_refusal
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.telemetry import Telemetry
from stock_pipeline.wiring import Wiring

LAST_SECONDS = 15
"""With less time left nothing is begun. What was begun ends before: two hurried calls after 14 s (a rejection too large
for a message needs both), a pause after 5."""


@lru_cache(maxsize=1)
def parts() -> tuple[Processor, Telemetry]:
    settings = Settings.from_env(os.environ)
    wiring = Wiring.of(settings, hurried=True)
    processor = Processor(
        dead_letters=wiring.dead_letters,
        raw_store=wiring.objects,
        state_store=wiring.state_table,
        average_windows=settings.moving_average_windows,
        wait=wiring.wait,
        limits=wiring.arrival_limits,
        is_refusal=is_refusal,
    )
    telemetry = Telemetry("processor", settings.environment, print, time.time_ns)
    # Lambda's runtime brings boto3, and a newer one comes without a deployment
    telemetry.log("INFO", "started", boto3=boto3.__version__)
    return processor, telemetry


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch. Return the first record to deliver again (ReportBatchItemFailures)."""
    processor, telemetry = parts()
    report = processor.process(event, lambda: context.get_remaining_time_in_millis() > LAST_SECONDS * 1000)
    telemetry.record(report.events(context.aws_request_id, time.time_ns()))
    return dict(report.response())
