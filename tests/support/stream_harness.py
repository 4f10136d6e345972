"""A stream that runs against a websocket server on loopback which plays a script, one per connection."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stock_pipeline.domain.capture import Capture
from stock_pipeline.providers.alpaca.stream import OPENING_SECONDS, AlpacaStream, websocket_connect
from stock_pipeline.providers.alpaca.trade import read_trade
from stock_pipeline.providers.timestamps import parse_rfc3339_ns
from tests.support.clock import Clock
from tests.support.provider_fakes import Answer, RecordingObserver, credentials

OPEN_NS = parse_rfc3339_ns("2026-01-02T15:00:00Z")
SILENCE_SECONDS = 60.0
STREAM_TRADE, GAP_TRADE = 7, 3

Script = Callable[[ServerConnection], Awaitable[None]]


def frame(trade_id: int) -> dict[str, Any]:
    return {"T": "t", "S": "AAPL", "i": trade_id, "x": "V", "p": 1.5, "s": 1, "t": "2026-01-02T14:59:00Z"}


class Waits:
    """Waits of the watchdog last until the test ends them; back-off is over at once, and noted."""

    def __init__(self) -> None:
        self.back_offs: list[float] = []
        self._held: dict[float, list[asyncio.Future[None]]] = {}
        self._changed = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        if seconds not in (OPENING_SECONDS, SILENCE_SECONDS):
            self.back_offs.append(seconds)
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._held.setdefault(seconds, []).append(future)
        self._changed.set()
        await future

    async def end(self, seconds: float) -> None:
        """End the wait of so many seconds, once somebody waits so long."""
        while True:
            waiting = [future for future in self._held.pop(seconds, []) if not future.done()]
            for future in waiting:
                future.set_result(None)
            if waiting:
                return
            self._changed.clear()
            await self._changed.wait()


class Running:
    """A stream that runs against a scripted server, and everything it did."""

    def __init__(self) -> None:
        self.clock = Clock(OPEN_NS)
        self.waits = Waits()
        self.observer = RecordingObserver()
        self.captures: asyncio.Queue[Capture] = asyncio.Queue()
        self.gaps_read: list[int] = []
        self.gap_errors: list[Exception] = []
        self.received: list[dict[str, Any]] = []
        self.stop = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.task: asyncio.Task[None]

    def publish(self, capture: Capture) -> None:
        self.loop.call_soon_threadsafe(self.captures.put_nowait, capture)

    def read_gap(self, start_ns: int, deadline_ns: int) -> Iterator[Capture]:
        self.gaps_read.append(start_ns)
        if self.gap_errors:
            raise self.gap_errors.pop(0)
        yield Capture((read_trade(json.dumps(frame(1000 + len(self.gaps_read))).encode(), "AAPL", "iex", OPEN_NS),))

    async def next_id(self) -> int:
        return (await self.captures.get()).trades[0].sequence


def rest_page() -> Answer:
    """What the API answers for the gap: one trade that the stream never showed."""
    trade = {name: value for name, value in frame(GAP_TRADE).items() if name not in ("T", "S")}
    return Answer(json.dumps({"trades": {"AAPL": [trade]}, "next_page_token": None}).encode())


async def welcome(received: list[Any], socket: ServerConnection) -> None:
    await socket.send('[{"T":"success","msg":"connected"}]')
    received.append(json.loads(await socket.recv()))
    await socket.send('[{"T":"success","msg":"authenticated"}]')
    received.append(json.loads(await socket.recv()))
    await socket.send('[{"T":"subscription","trades":["AAPL"],"corrections":["AAPL"],"cancelErrors":["AAPL"]}]')


def sending(received: list[Any]) -> Script:
    """Welcome the client, and send one trade."""

    async def script(socket: ServerConnection) -> None:
        await welcome(received, socket)
        await socket.send(json.dumps([frame(STREAM_TRADE)]))
        await socket.wait_closed()

    return script


def welcoming(running: Running, *trade_ids: int, end: bool = False) -> Script:
    """Welcome the client, send trades, then end the connection abruptly or stay silent."""

    async def script(socket: ServerConnection) -> None:
        await welcome(running.received, socket)
        for trade_id in trade_ids:
            await socket.send(json.dumps([frame(trade_id)]))
        if end:
            socket.transport.abort()
        else:
            await socket.wait_closed()

    return script


def refusing(code: int, text: str) -> Script:
    async def script(socket: ServerConnection) -> None:
        await socket.send('[{"T":"success","msg":"connected"}]')
        await socket.recv()
        await socket.send(json.dumps([{"T": "error", "code": code, "msg": text}]))

    return script


async def mute(socket: ServerConnection) -> None:
    await socket.wait_closed()


@asynccontextmanager
async def websocket_server(script: Script) -> AsyncIterator[str]:
    async with serve(script, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def stream(
    scripts: Callable[[Running], list[Script]], start_ns: int | None = None, prepare: Callable[[Running], object] = id
) -> AsyncIterator[Running]:
    running = Running()
    prepare(running)
    remaining = scripts(running)

    async def handle(socket: ServerConnection) -> None:
        try:
            await (remaining.pop(0) if remaining else mute)(socket)
        except ConnectionClosed:
            return

    async with websocket_server(handle) as url:
        subject = AlpacaStream(
            websocket_connect(f"{url}/v2/iex"),
            credentials(),
            ["AAPL"],
            "iex",
            publish=running.publish,
            read_gap=running.read_gap,
            now_ns=running.clock.now_ns,
            wait=running.waits,
            jitter=random.Random(1),
            observer=running.observer,
            silence_seconds=SILENCE_SECONDS,
        )
        running.task = asyncio.create_task(subject.run(running.stop, start_ns))
        yield running
        running.stop.set()
        await running.task
