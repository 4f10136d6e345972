"""The stream's counts and position are told for as long as the process lives."""

import asyncio
import json
from typing import Any

from stock_pipeline.commands.stream import _tell_regularly
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.stream_sink import StreamSink
from stock_pipeline.streaming.telemetry import Telemetry


class AwayOnce:
    """A checkpoint store that can't be reached the first time."""

    def __init__(self, kept: asyncio.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self.kept = kept
        self.tries = 0

    def load(self) -> str | None:
        return None

    def save(self, checkpoint: str) -> None:
        self.tries += 1
        if self.tries == 1:
            raise ConnectionError("the bucket is away")
        self.loop.call_soon_threadsafe(self.kept.set)


def test_a_position_that_is_not_stored_is_logged_and_tried_again() -> None:
    lines: list[str] = []

    async def scenario() -> None:
        kept = asyncio.Event()
        producer: Any = None  # nothing is published here
        sink = StreamSink(
            producer,
            Telemetry("stream", "dev", lines.append, lambda: 1),
            ProviderCalls(),
            AwayOnce(kept),
            position=lambda: 5,
            now_ns=lambda: 1,
        )
        telling = asyncio.create_task(_tell_regularly(sink, 0))
        async with asyncio.timeout(20):
            await kept.wait()
        telling.cancel()

    asyncio.run(scenario())
    errors = [json.loads(line)["message"] for line in lines if json.loads(line)["level"] == "ERROR"]
    assert errors == ["the stream's position could not be kept: the bucket is away"]
