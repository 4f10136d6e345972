"""Producer Lambda: a price API's trades into the stream, several polls an invocation. Wiring only."""

import os
import time
from functools import lru_cache
from typing import Any

from stock_pipeline.domain.feed_session import open_hours
from stock_pipeline.errors import PermanentError
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import CredentialsRefusedError
from stock_pipeline.providers.selection import PollingProvider, feed_delay_seconds, provider_named
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.poll_loop import PollLoop
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.producer import ProducerReport
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.telemetry import Telemetry
from stock_pipeline.wiring import Wiring

LAST_SECONDS = 8
"""Time that an invocation keeps for putting trades into the stream or into failed/."""

calls = ProviderCalls()


@lru_cache(maxsize=1)
def wiring() -> Wiring:
    return Wiring.of(Settings.from_env(os.environ))


@lru_cache(maxsize=1)
def provider(settings: Settings, credentials: Credentials) -> PollingProvider:
    """Return the provider, kept with its budget between invocations until the key changes."""
    return provider_named(
        settings.provider,
        settings.symbols,
        settings.feed,
        credentials,
        now_ns=time.time_ns,
        wait=time.sleep,
        observer=calls,
        look_back_seconds=settings.look_back_seconds,
        url=settings.provider_url,
    )


def poll_loop(wiring: Wiring) -> PollLoop:
    settings = wiring.settings
    return PollLoop(
        provider=provider(settings, wiring.credentials()),
        producer=wiring.producer,
        checkpoints=wiring.checkpoints(settings.provider),
        interval_seconds=settings.poll_interval_seconds,
        now_ns=time.time_ns,
        sleep=time.sleep,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Poll until shortly before the timeout. Return the number of published trades, and the failure.

    A permanent error is not raised, because the scheduler would try again at once. It is counted, for an alarm.
    """
    telemetry = Telemetry("producer", os.environ.get("ENVIRONMENT", "dev"), print, time.time_ns)
    deadline_ns = time.time_ns() + context.get_remaining_time_in_millis() * 10**6 - LAST_SECONDS * 10**9
    try:
        report = poll_loop(wiring()).run(deadline_ns)
        if isinstance(report.failure, CredentialsRefusedError) and wiring().renew_credentials():
            report = report.plus(poll_loop(wiring()).run(deadline_ns))
    except PermanentError as error:
        report = PollReport(0, ProducerReport(0, 0, 0, 0, 0), error)
    feed = os.environ.get("FEED", "iex")
    is_open = open_hours(time.time_ns() - feed_delay_seconds(feed) * 10**9, feed) is not None
    telemetry.record(report.events(calls.taken(), context.aws_request_id, is_open))
    return {"published": report.produced.published, "failure": str(report.failure) if report.failure else None}
