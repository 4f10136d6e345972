"""The stream's sink tells how far it is, and keeps the position that goes with the counts."""

import asyncio
import json
import threading
from contextlib import closing
from typing import Any, cast

import pytest

from stock_pipeline.streaming.checkpoint_time import FutureCheckpointError
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.stream_sink import StreamProgress, StreamSink
from stock_pipeline.streaming.telemetry import Telemetry
from stock_pipeline.streaming.worker_thread import WorkerThread

NOW_NS = 2_000_000_000_000_000_000


class Kept:
    def __init__(self) -> None:
        self.saved: list[str] = []

    def load(self) -> str | None:
        return self.saved[-1] if self.saved else None

    def save(self, checkpoint: str) -> None:
        self.saved.append(checkpoint)


def told(progress: StreamProgress) -> tuple[list[dict[str, Any]], list[str]]:
    lines: list[str] = []
    kept = Kept()
    producer: Any = None  # nothing is published here
    telemetry = Telemetry("stream", "dev", lines.append, lambda: NOW_NS)
    StreamSink(producer, telemetry, ProviderCalls(), kept, lambda: progress, lambda: NOW_NS).tell()
    return [json.loads(line) for line in lines], kept.saved


def test_a_stream_tells_its_state_its_lag_and_what_waits() -> None:
    lines, saved = told(StreamProgress("listening", NOW_NS - 2_500_000_000, "somewhere", 7))
    assert (lines[1]["message"], lines[1]["StreamLagSeconds"], lines[1]["WaitingFrames"]) == (
        "the stream is listening",
        2.5,
        7,
    )
    assert saved == ["somewhere"]


def test_a_position_from_the_future_is_not_gone_on_from() -> None:
    kept, nothing = Kept(), cast(Any, None)
    sink = StreamSink(nothing, nothing, ProviderCalls(), kept, lambda: None, lambda: NOW_NS)
    assert sink.position() is None
    kept.save(str(NOW_NS - 10**9))
    assert sink.position() == str(NOW_NS - 10**9)
    kept.save(str(NOW_NS + 3_600 * 10**9))
    with pytest.raises(FutureCheckpointError, match="3,600 s ahead"):
        sink.position()


def test_a_worker_threads_calls_take_turns_and_end_with_it() -> None:
    async def scenario() -> list[str]:
        with closing(WorkerThread("turns")) as worker:
            names = await asyncio.gather(*(worker.run(lambda: threading.current_thread().name) for _ in range(3)))
        return names

    assert len(set(asyncio.run(scenario()))) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("turns")]
