"""Redrive Lambda: messages of the dead-letter queue back into the stream. Wiring only."""

import os
import time
from functools import lru_cache
from typing import Any

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.redrive.wiring import DEFAULT_LIMIT, DEFAULT_LINES_PER_SECOND, wired_redrive
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.telemetry import Telemetry
from stock_pipeline.wiring import Wiring

LAST_SECONDS = 20
"""Part of an invocation's time, kept for the message in hand."""


@lru_cache(maxsize=1)
def wiring() -> Wiring:
    return Wiring.of(Settings.from_env(os.environ))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Redrive messages. Return their number by outcome.

    event: {"limit": messages at most, "dry_run": decide only, "reason": only lines rejected for it,
    "lines_per_second": at most}, all of it optional
    """
    telemetry = Telemetry("redrive", wiring().settings.environment, print, time.time_ns)
    deadline_ns = time.time_ns() + context.get_remaining_time_in_millis() * 10**6 - LAST_SECONDS * 10**9
    rate = int(event.get("lines_per_second", DEFAULT_LINES_PER_SECOND))
    dry_run = bool(event.get("dry_run", False))
    report = wired_redrive(wiring(), context.aws_request_id, rate).run(
        int(event.get("limit", DEFAULT_LIMIT)),
        deadline_ns,
        dry_run=dry_run,
        reason=Reason(event["reason"]) if event.get("reason") else None,
    )
    if not dry_run:
        telemetry.record(report.events(context.aws_request_id))
    return dict(report.counts)
