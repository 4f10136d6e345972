"""The stream's counts and position are told for as long as the process lives."""

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

from stock_pipeline.commands.stream import _stored_start, _tell_regularly
from stock_pipeline.providers.alpaca.position import StreamPosition
from stock_pipeline.streaming.ports import CheckpointStore
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.stream_sink import StreamProgress, StreamSink
from stock_pipeline.streaming.telemetry import Telemetry
from stock_pipeline.streaming.worker_thread import WorkerThread


class Kept:
    """A checkpoint store in memory."""

    def __init__(self, stored: str | None = None) -> None:
        self.stored = stored

    def load(self) -> str | None:
        return self.stored

    def save(self, checkpoint: str) -> None:
        self.stored = checkpoint


def sink_of(checkpoints: CheckpointStore, write: Callable[[str], None] = lambda _line: None) -> StreamSink:
    producer: Any = None  # nothing is published here
    return StreamSink(
        producer,
        Telemetry("stream", "dev", write, lambda: 1),
        ProviderCalls(),
        checkpoints,
        progress=lambda: StreamProgress("listening", 5, "5", 0),
        now_ns=lambda: 7,
    )


def test_a_first_start_stores_where_it_begins_and_a_later_one_goes_on_there() -> None:
    kept = Kept()
    assert _stored_start(sink_of(kept)) == StreamPosition(7)
    assert kept.stored == "7"
    earlier = Kept("3")
    assert _stored_start(sink_of(earlier)) == StreamPosition(3)
    assert earlier.stored == "3"


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
        sink = sink_of(AwayOnce(kept), lines.append)
        with closing(WorkerThread("checkpoint")) as keeper:
            telling = asyncio.create_task(_tell_regularly(sink, keeper, 0))
            async with asyncio.timeout(20):
                await kept.wait()
            telling.cancel()

    asyncio.run(scenario())
    errors = [json.loads(line)["message"] for line in lines if json.loads(line)["level"] == "ERROR"]
    assert errors == ["the stream's position could not be kept: the bucket is away"]
