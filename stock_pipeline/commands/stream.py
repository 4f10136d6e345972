"""`stock-pipeline stream`: carry Alpaca's trade stream into Kinesis."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from stock_pipeline.commands.parsers import Commands, add_command

if TYPE_CHECKING:
    import asyncio

    from stock_pipeline.providers.alpaca.stream import AlpacaStream
    from stock_pipeline.settings import Settings
    from stock_pipeline.streaming.provider_calls import ProviderCalls
    from stock_pipeline.streaming.stream_sink import StreamSink
    from stock_pipeline.wiring import Wiring

TELL_SECONDS = 10.0


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "stream",
        summary="carry Alpaca's trade stream into Kinesis until stopped",
        description="A long-lived producer for a container: connects to Alpaca's websocket, reconnects by itself, "
        "notices a silent connection while the market is open, and reads by REST what it missed, also from "
        "before its start. Alpaca allows one connection a key: stop the old process before starting a new "
        "one. Settings: SYMBOLS, FEED, PROVIDER_SECRET_NAME, STREAM_NAME, BUCKET_NAME, "
        "DEAD_LETTER_QUEUE_URL. Ctrl-C or SIGTERM ends it in order.",
        example="stock-pipeline stream",
    )
    parser.add_argument("--url", help="another websocket address than Alpaca's, for testing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import asyncio
    import signal

    from stock_pipeline.settings import Settings

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await carry(Settings.from_env(os.environ), stop, options.url)

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
    import asyncio
    import time

    from stock_pipeline.streaming.provider_calls import ProviderCalls
    from stock_pipeline.streaming.stream_sink import StreamSink
    from stock_pipeline.streaming.telemetry import Telemetry
    from stock_pipeline.wiring import Wiring

    calls = ProviderCalls()
    with Wiring.open(settings) as wiring:
        sink = StreamSink(
            producer=wiring.producer,
            telemetry=Telemetry("stream", settings.environment, write, time.time_ns),
            calls=calls,
            checkpoints=wiring.checkpoints("alpaca-stream"),
            position=lambda: stream.complete_to_ns,
            now_ns=time.time_ns,
        )
        with _alpaca_stream(wiring, sink, calls, url) as stream:
            start_ns = await asyncio.to_thread(sink.start_ns)
            telling = asyncio.create_task(_tell_regularly(sink, tell_seconds))
            try:
                await stream.run(stop, start_ns)
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
                sink.tell()


@contextmanager
def _alpaca_stream(
    wiring: "Wiring", sink: "StreamSink", calls: "ProviderCalls", url: str | None
) -> Iterator["AlpacaStream"]:
    """Yield Alpaca's websocket, with the REST API for its gaps."""
    import asyncio
    import random
    import time

    from stock_pipeline.providers.alpaca.rest import BASE_URL, AlpacaProvider, alpaca_client
    from stock_pipeline.providers.alpaca.stream import STREAM_URL, AlpacaStream, websocket_connect
    from stock_pipeline.providers.client.http import ReusedConnection

    settings, credentials, jitter = wiring.settings, wiring.credentials(), random.Random()
    with closing(ReusedConnection(settings.provider_url or BASE_URL, time.time_ns)) as http:
        rest = alpaca_client(
            credentials, now_ns=time.time_ns, wait=time.sleep, jitter=jitter, observer=calls, http=http
        )
        yield AlpacaStream(
            websocket_connect(url or STREAM_URL + settings.feed),
            credentials,
            settings.symbols,
            settings.feed,
            publish=sink.publish,
            read_gap=AlpacaProvider(rest, settings.symbols, time.time_ns, feed=settings.feed).capture_since,
            now_ns=time.time_ns,
            wait=asyncio.sleep,
            jitter=jitter,
            observer=calls,
        )


async def _tell_regularly(sink: "StreamSink", seconds: float) -> None:
    import asyncio

    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(sink.tell)
        except Exception as error:
            # not raised, because the position is kept next time and the counts must go on
            sink.telemetry.log("ERROR", f"the stream's position could not be kept: {error}")
