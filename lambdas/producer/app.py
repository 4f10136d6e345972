"""Producer Lambda: a price API's trades into the stream, several polls an invocation. Wiring only."""

import os
import time
from functools import lru_cache
from random import Random
from typing import Any

from stock_pipeline.aws.checkpoint_object import CheckpointObject
from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.secrets import SecretReader
from stock_pipeline.domain.lake_layout import checkpoint_key
from stock_pipeline.errors import PermanentError
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.selection import PollingProvider, provider_named
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.poll_loop import PollLoop
from stock_pipeline.streaming.producer import Producer
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.publisher import FailedZone, Publisher
from stock_pipeline.streaming.telemetry import Telemetry

LAST_SECONDS = 8
"""Time that an invocation keeps for putting trades into the stream or into failed/."""

calls = ProviderCalls()


@lru_cache(maxsize=1)
def clients() -> Clients:
    return Clients(Settings.from_env(os.environ).aws_region)


@lru_cache(maxsize=1)
def secrets() -> SecretReader:
    return SecretReader(clients().secretsmanager, time.monotonic_ns)


@lru_cache(maxsize=1)
def provider(settings: Settings, key: str, secret: str) -> PollingProvider:
    """Return the provider, kept between invocations until the key changes, with its budget and memory."""
    credentials = Credentials(f"the secret {settings.provider_secret_name}", key, secret)
    return provider_named(
        settings.provider,
        settings.symbols,
        settings.feed,
        credentials,
        now_ns=time.time_ns,
        wait=time.sleep,
        observer=calls,
        url=settings.provider_url,
    )


def poll_loop(settings: Settings) -> PollLoop:
    key = secrets().read(settings.provider_secret_name)
    lake = ObjectStore(clients().s3, settings.bucket_name)
    queue = SqsQueue(clients().sqs, settings.require_dead_letter_queue_url(), oversized=lake)
    publisher = Publisher(
        stream=KinesisStream(clients().kinesis, settings.stream_name),
        leftovers=FailedZone(lake, queue),
        buckets=settings.partition_buckets,
        now_ns=time.time_ns,
        wait=back_off(time.sleep, Random()),
    )
    return PollLoop(
        provider=provider(settings, key["key"], key.get("secret", "")),
        producer=Producer(publisher, queue),
        checkpoints=CheckpointObject(lake, checkpoint_key(settings.provider, settings.feed)),
        interval_seconds=settings.poll_interval_seconds,
        now_ns=time.time_ns,
        sleep=time.sleep,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Poll until shortly before the timeout. Return the number of published trades, and the failure.

    A permanent error is logged, not raised, because raising would make the scheduler try again at once.
    """
    telemetry = Telemetry("producer", os.environ.get("ENVIRONMENT", "dev"), print, time.time_ns)
    deadline_ns = time.time_ns() + context.get_remaining_time_in_millis() * 10**6 - LAST_SECONDS * 10**9
    try:
        report = poll_loop(Settings.from_env(os.environ)).run(deadline_ns)
    except PermanentError as error:
        telemetry.log("ERROR", str(error), request_id=context.aws_request_id)
        return {"published": 0, "failure": str(error)}
    telemetry.record(report.events(calls.taken(), context.aws_request_id))
    return {"published": report.produced.published, "failure": str(report.failure) if report.failure else None}
