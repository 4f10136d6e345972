"""`stock-pipeline stream`: carry Alpaca's trade stream into Kinesis."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from stock_pipeline.commands.environment import BUCKET, QUEUE, STREAM, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command

if TYPE_CHECKING:
    import asyncio

    from stock_pipeline.providers.alpaca.position import StreamPosition
    from stock_pipeline.providers.alpaca.stream import AlpacaStream
    from stock_pipeline.settings import Settings
    from stock_pipeline.streaming.provider_calls import ProviderCalls
    from stock_pipeline.streaming.stream_sink import StreamSink
    from stock_pipeline.streaming.worker_thread import WorkerThread
    from stock_pipeline.wiring import Wiring

TELL_SECONDS = 10.0
PAGE_SECONDS = 120
"""Limit of one page of a gap, its retries included; then it is tried anew."""


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "stream",
        summary="carry Alpaca's trade stream into Kinesis until stopped",
        description="A long-lived producer for a container: connects to Alpaca's websocket, reconnects by itself, "
        "asks REST about symbols that fall silent, and reads by REST what it missed, also from "
        "before its start. Alpaca allows one connection a key: stop the old process before starting a new "
        "one. Settings: SYMBOLS, FEED, PROVIDER_SECRET_NAME, STREAM_NAME, BUCKET_NAME, "
        "DEAD_LETTER_QUEUE_URL. Ctrl-C or SIGTERM ends it in order.",
        example="stock-pipeline stream",
    )
    parser.add_argument("--url", help="another websocket address than Alpaca's, for testing")
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import asyncio
    import signal

    from stock_pipeline.extras import require

    require("websockets")
    settings = settings_of(options, STREAM, BUCKET, QUEUE)

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await carry(settings, stop, options.url)

    asyncio.run(until_signalled())
    return 0


def _print_at_once(line: str) -> None:
    # a container's output is a pipe, and a buffer dies with the process
    print(line, flush=True)


async def carry(
    settings: "Settings",
    stop: "asyncio.Event",
    url: str | None = None,
    tell_seconds: float = TELL_SECONDS,
    write: Callable[[str], None] = _print_at_once,
) -> None:
    """Carry trades until `stop` is set; raise what no reconnecting mends: a refused key, an unknown feed.

    tell_seconds: between two log lines with counts; the position is kept as often.
    write: takes a line of the log.
    """
    import time

    from stock_pipeline.providers.client.http import CredentialsRefusedError
    from stock_pipeline.providers.selection import feed_delay_seconds
    from stock_pipeline.streaming.provider_calls import ProviderCalls
    from stock_pipeline.streaming.stream_sink import StreamProgress, StreamSink
    from stock_pipeline.streaming.telemetry import Telemetry
    from stock_pipeline.streaming.worker_thread import WorkerThread
    from stock_pipeline.wiring import Wiring

    def progress() -> StreamProgress:
        position = stream.position
        return StreamProgress(stream.state.value, position.complete_to_ns, position.text(), stream.waiting_frames)

    calls = ProviderCalls()
    with Wiring.open(settings) as wiring, closing(WorkerThread("checkpoint")) as keeper:
        sink = StreamSink(
            producer=wiring.producer,
            telemetry=Telemetry("stream", settings.environment, write, time.time_ns),
            calls=calls,
            checkpoints=wiring.checkpoints("alpaca-stream"),
            progress=progress,
            now_ns=time.time_ns,
            feed_delay_seconds=feed_delay_seconds(settings.feed),
            feed=settings.feed,
        )
        while not stop.is_set():
            start = await keeper.run(_stored_start, sink)
            try:
                with _alpaca_stream(wiring, sink, calls, start, url) as stream:
                    await _carry_and_tell(stream, sink, keeper, stop, tell_seconds)
            except CredentialsRefusedError:
                if not await keeper.run(wiring.renew_credentials):
                    raise


def _stored_start(sink: "StreamSink") -> "StreamPosition":
    """Return the stored position. A first start stores now, before it asks for anything."""
    from stock_pipeline.providers.alpaca.position import StreamPosition

    stored = sink.position()
    if stored:
        return StreamPosition.of(stored)
    start = StreamPosition(sink.now_ns())
    sink.checkpoints.save(start.text())
    return start


async def _carry_and_tell(
    stream: "AlpacaStream",
    sink: "StreamSink",
    keeper: "WorkerThread",
    stop: "asyncio.Event",
    tell_seconds: float,
) -> None:
    import asyncio

    telling = asyncio.create_task(_tell_regularly(sink, keeper, tell_seconds))
    try:
        await stream.run(stop)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await keeper.run(sink.tell)


@contextmanager
def _alpaca_stream(
    wiring: "Wiring", sink: "StreamSink", calls: "ProviderCalls", start: "StreamPosition", url: str | None
) -> Iterator["AlpacaStream"]:
    """Yield Alpaca's websocket, with the REST API for its gaps. Each has a thread of its own."""
    import asyncio
    import random
    import threading
    import time

    from stock_pipeline.providers.alpaca.gap import History
    from stock_pipeline.providers.alpaca.pages import TradePages
    from stock_pipeline.providers.alpaca.rest import BASE_URL, alpaca_client
    from stock_pipeline.providers.alpaca.stream import AlpacaStream, Selection
    from stock_pipeline.providers.alpaca.timing import Timing
    from stock_pipeline.providers.alpaca.websocket import STREAM_URL, websocket_connect
    from stock_pipeline.providers.client.http import ProviderUnavailableError, ReusedConnection
    from stock_pipeline.streaming.worker_thread import WorkerThread

    ended = threading.Event()

    def wait(seconds: float) -> None:
        # The thread must not outlive its stream, and a Retry-After may be minutes.
        if ended.wait(seconds):
            raise ProviderUnavailableError("the stream has ended")

    settings, credentials, jitter = wiring.settings, wiring.credentials(), random.Random()
    with (
        closing(ReusedConnection(settings.provider_url or BASE_URL, time.time_ns)) as http,
        closing(WorkerThread("live")) as live,
        closing(WorkerThread("gap")) as gap,
    ):
        rest = alpaca_client(credentials, now_ns=time.time_ns, wait=wait, jitter=jitter, observer=calls, http=http)
        history = History(
            pages_of=lambda symbols: TradePages(rest, symbols, settings.feed, time.time_ns),
            read=lambda pages, place: gap.run(pages.read, place, time.time_ns() + PAGE_SECONDS * 10**9),
            publish=lambda capture: gap.run(sink.publish, capture),
        )
        try:
            yield AlpacaStream(
                Selection(settings.symbols, settings.feed, credentials),
                websocket_connect(url or STREAM_URL + settings.feed),
                publish=lambda capture: live.run(sink.publish, capture),
                history=history,
                timing=Timing(time.time_ns, asyncio.sleep, jitter),
                observer=calls,
                start=start,
            )
        finally:
            ended.set()


async def _tell_regularly(sink: "StreamSink", keeper: "WorkerThread", seconds: float) -> None:
    import asyncio

    while True:
        await asyncio.sleep(seconds)
        try:
            await keeper.run(sink.tell)
        except Exception as error:
            # not raised, because the position is kept next time and the counts must go on
            sink.telemetry.log("ERROR", f"the stream's position could not be kept: {error}")
