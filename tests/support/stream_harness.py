"""A stream that runs against a websocket server on loopback which plays a script, one per connection."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.trade import Trade
from stock_pipeline.providers.alpaca.gap import OVERLAP_SECONDS, SILENCE_SECONDS, History
from stock_pipeline.providers.alpaca.pages import CapturePosition, TradePages
from stock_pipeline.providers.alpaca.position import StreamPosition
from stock_pipeline.providers.alpaca.rest import alpaca_client
from stock_pipeline.providers.alpaca.stream import AlpacaStream, Limits, Selection
from stock_pipeline.providers.alpaca.timing import Timing
from stock_pipeline.providers.alpaca.trade import read_rows
from stock_pipeline.providers.alpaca.websocket import OPENING_SECONDS, websocket_connect
from stock_pipeline.providers.client.http import ProviderRetryableError
from stock_pipeline.providers.timestamps import format_rfc3339_ns, parse_rfc3339_ns
from tests.support.clock import SECOND, Clock
from tests.support.provider_fakes import Answer, RecordingObserver, credentials

OPEN_NS = parse_rfc3339_ns("2026-01-02T15:00:00Z")
PING_SECONDS, PONG_SECONDS = Limits.ping_seconds, Limits.pong_seconds
HELD = (OPENING_SECONDS, PING_SECONDS, PONG_SECONDS, SILENCE_SECONDS, OVERLAP_SECONDS)
STREAM_TRADE, GAP_TRADE = 7, 3

Script = Callable[[ServerConnection], Awaitable[None]]


def frame(trade_id: int) -> dict[str, Any]:
    return {"T": "t", "S": "AAPL", "i": trade_id, "x": "V", "p": 1.5, "s": 1, "t": "2026-01-02T14:59:00Z"}


class Waits:
    """Waits of the watchdogs last until the test ends them; back-off is over at once, and noted."""

    def __init__(self) -> None:
        self.back_offs: list[float] = []
        self._held: dict[float, list[asyncio.Future[None]]] = {}
        self._changed = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        if seconds == Limits.linger_seconds:
            await asyncio.sleep(0)
            return
        if seconds not in HELD:
            self.back_offs.append(seconds)
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._held.setdefault(seconds, []).append(future)
        self._changed.set()
        await future

    async def held(self, seconds: float) -> None:
        """Return once somebody waits so long."""
        while all(future.done() for future in self._held.get(seconds, [])):
            self._changed.clear()
            await self._changed.wait()

    async def end(self, seconds: float) -> None:
        """End the wait of so many seconds, once somebody waits so long."""
        await self.held(seconds)
        for future in self._held.pop(seconds):
            if not future.done():
                future.set_result(None)


class Running:
    """A stream that runs against a scripted server, and everything it did."""

    def __init__(self) -> None:
        self.clock = Clock(OPEN_NS)
        self.waits = Waits()
        self.observer = RecordingObserver()
        self.captures: asyncio.Queue[Capture] = asyncio.Queue()
        self.gaps_read: list[int] = []
        self.gap_errors: list[Exception] = []
        self.gap_pages: TradePages | None = None
        self.unheard: list[Trade] = []
        self.asked: list[str] = []
        self.received: list[dict[str, Any]] = []
        self.stop = asyncio.Event()
        self.subject: AlpacaStream
        self.task: asyncio.Task[None]

    async def publish(self, capture: Capture) -> None:
        for trade in capture.trades:
            self.captures.put_nowait(Capture((trade,)))

    async def read(self, pages: TradePages, place: CapturePosition) -> tuple[Capture, CapturePosition]:
        """Answer a gap with one trade, and a question about silence with what `unheard` holds."""
        if pages is not self.gap_pages:
            self.asked.append(pages.symbols)
            return Capture(tuple(self.unheard)), place
        self.gaps_read.append(place.start_ns + round(OVERLAP_SECONDS) * SECOND)
        if self.gap_errors:
            error = self.gap_errors.pop(0)
            if isinstance(error, ProviderRetryableError):
                # as the API's client counts it
                self.observer.error("alpaca", error.kind, str(error))
            raise error
        rows = read_rows(json.dumps(frame(1000 + len(self.gaps_read))).encode(), "AAPL", "iex", OPEN_NS)
        return Capture(tuple(rows)), place

    def stream(self, url: str, symbols: tuple[str, ...] = ("AAPL",), start_ns: int | None = None) -> AlpacaStream:
        client = alpaca_client(
            credentials(),
            now_ns=self.clock.now_ns,
            wait=self.clock.wait,
            jitter=random.Random(1),
            observer=self.observer,
        )

        def pages_of(some: Sequence[str]) -> TradePages:
            pages = TradePages(client, some, "iex", self.clock.now_ns)
            # A gap's are made once and for all, before any question about silence.
            self.gap_pages = self.gap_pages or pages
            return pages

        return AlpacaStream(
            Selection(symbols, "iex", credentials()),
            websocket_connect(url),
            self.publish,
            History(pages_of, self.read, self.publish),
            Timing(self.clock.now_ns, self.waits, random.Random(1)),
            self.observer,
            StreamPosition(self.clock.ns if start_ns is None else start_ns),
        )

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

    async with asyncio.timeout(20), websocket_server(handle) as url:
        running.subject = running.stream(f"{url}/v2/iex", start_ns=start_ns)
        running.task = asyncio.create_task(running.subject.run(running.stop))
        yield running
        running.stop.set()
        await running.task


async def followed(running: Running) -> int:
    """Let the overlap pass, after which the position follows the subscription, and return when that is."""
    assert {await running.next_id() for _ in range(2)} == {1, 1001}
    running.clock.ns += round(OVERLAP_SECONDS) * SECOND
    await running.waits.end(OVERLAP_SECONDS)
    assert await running.next_id() == 1002
    return running.clock.ns


def unheard(at_ns: int) -> Trade:
    """A trade that REST shows and the stream does not."""
    piece = {**frame(77), "t": format_rfc3339_ns(at_ns)}
    (row,) = read_rows(json.dumps(piece).encode(), "AAPL", "iex", OPEN_NS)
    return row
