"""The stream under load: a websocket server on loopback in a process of its own, and a Kinesis that takes its time."""

import asyncio
import json
import random
import re
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stock_pipeline.providers.alpaca.gap import History
from stock_pipeline.providers.alpaca.pages import TradePages
from stock_pipeline.providers.alpaca.position import StreamPosition
from stock_pipeline.providers.alpaca.rest import alpaca_client
from stock_pipeline.providers.alpaca.stream import AlpacaStream, Selection
from stock_pipeline.providers.alpaca.timing import Timing
from stock_pipeline.providers.alpaca.websocket import Connection, websocket_connect
from stock_pipeline.providers.client.http import HttpAnswer
from stock_pipeline.providers.timestamps import format_rfc3339_ns
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.producer import Producer
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.record_packing import PackedRecord
from stock_pipeline.streaming.worker_thread import WorkerThread
from tests.support.provider_fakes import RecordingObserver, credentials

SYMBOLS = tuple(f"SYM{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(30))
TICK_SECONDS = 0.01

_SEQUENCE = re.compile(rb'"sequence":([0-9]+)')
_EVENT_TIME = re.compile(rb'"event_time_ns":([0-9]+)')


@dataclass(frozen=True)
class Load:
    messages_a_second: int
    seconds: float
    put_seconds: float

    @property
    def messages(self) -> int:
        return round(self.messages_a_second * self.seconds)


@dataclass
class SlowKinesis:
    """A stream whose every call takes `put_seconds`, and that knows the numbers of what it took."""

    put_seconds: float
    taken: set[int] = field(default_factory=set)
    lines: int = 0
    calls: int = 0
    lags: list[float] = field(default_factory=list)

    def put(self, records: Sequence[PackedRecord]) -> list[str | None]:
        time.sleep(self.put_seconds)
        now_ns = time.time_ns()
        self.calls += 1
        for record in records:
            numbers = [int(number) for number in _SEQUENCE.findall(record.data)]
            self.lines += len(numbers)
            self.taken.update(numbers)
        oldest_ns = min(int(_EVENT_TIME.findall(record.data)[0]) for record in records)
        self.lags.append((now_ns - oldest_ns) / 10**9)
        return [None] * len(records)


class Nothing:
    """REST that knows no trades, and a queue and a zone that must stay empty."""

    def get(self, target: str, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        return HttpAnswer(200, {}, b'{"trades": {}, "next_page_token": null}')

    def keep(self, records: Sequence[PackedRecord], reason: str) -> None:
        raise AssertionError(f"nothing should be kept, but: {reason}")

    def send(self, documents: Sequence[bytes]) -> None:
        raise AssertionError(f"nothing should be unreadable, but: {documents[0][:200]!r}")


@dataclass(frozen=True)
class Outcome:
    load: Load
    published: int
    repeated: int
    connections: int
    errors: list[str]
    calls: int
    most_waiting_frames: int
    longest_lag: float
    median_lag: float
    position_lag: float
    server_seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        return (
            f"sent {self.load.messages:,} messages in {self.server_seconds:.1f} s "
            f"({self.load.messages / self.server_seconds:,.0f} a second), PutRecords {self.load.put_seconds} s\n"
            f"published {self.published:,}, repeated {self.repeated:,}, by {self.calls:,} calls; "
            f"connections {self.connections}, errors {self.errors}\n"
            f"age of a call's oldest trade: median {self.median_lag:.2f} s, most {self.longest_lag:.2f} s; "
            f"most waiting frames {self.most_waiting_frames:,}; position behind at the end {self.position_lag:.2f} s\n"
            f"CPU {self.cpu_seconds:.1f} s, {self.cpu_seconds / self.load.messages * 10**6:.0f} us a message"
        )


async def carry(load: Load) -> Outcome:
    """Carry all messages of a server, and tell what became of them. Raises `TimeoutError` if they don't arrive."""
    limit = load.seconds * 3 + 60
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.stream_load", str(load.messages_a_second), str(load.messages)),
        stdout=PIPE,
    )
    try:
        async with asyncio.timeout(limit):
            assert server.stdout is not None
            port = int(await server.stdout.readline())
            return await _carried(load, port, server.stdout)
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


async def _carried(load: Load, port: int, server: asyncio.StreamReader) -> Outcome:
    kinesis, nothing, observer = SlowKinesis(load.put_seconds), Nothing(), RecordingObserver()
    jitter = random.Random(1)
    producer = Producer(Publisher(kinesis, nothing, 16, time.time_ns, back_off(time.sleep, jitter)), nothing)
    rest = alpaca_client(
        credentials(), now_ns=time.time_ns, wait=time.sleep, jitter=jitter, observer=observer, http=nothing
    )
    with closing(WorkerThread("live")) as live, closing(WorkerThread("gap")) as gap:

        async def publish(capture: object) -> None:
            await live.run(producer.run, [capture], time.time_ns() + 15 * 10**9)

        open_websocket = websocket_connect(f"ws://127.0.0.1:{port}/v2/iex")
        connections = 0

        async def connect() -> Connection:
            nonlocal connections
            connections += 1
            return await open_websocket()

        stream = AlpacaStream(
            Selection(SYMBOLS, "iex", credentials()),
            connect,
            publish,
            History(
                lambda symbols: TradePages(rest, symbols, "iex", time.time_ns),
                lambda pages, place: gap.run(pages.read, place, time.time_ns() + 10**10),
                publish,
            ),
            Timing(time.time_ns, asyncio.sleep, jitter),
            observer,
            StreamPosition(time.time_ns()),
        )
        stop = asyncio.Event()
        begun = time.process_time()
        running = asyncio.create_task(stream.run(stop))
        most_waiting = 0
        while len(kinesis.taken) < load.messages and not running.done():
            most_waiting = max(most_waiting, stream.waiting_frames)
            await asyncio.sleep(0.05)
        position_lag = (time.time_ns() - stream.position.complete_to_ns) / 10**9
        server_seconds = float(await server.readline())
        stop.set()
        await running
    lags = sorted(kinesis.lags)
    return Outcome(
        load,
        len(kinesis.taken),
        kinesis.lines - len(kinesis.taken),
        connections,
        observer.errors,
        kinesis.calls,
        most_waiting,
        lags[-1],
        lags[len(lags) // 2],
        position_lag,
        server_seconds,
        time.process_time() - begun,
    )


def _say(figure: float) -> None:
    sys.stdout.write(f"{figure}\n")
    sys.stdout.flush()


async def _serve(messages_a_second: int, messages: int) -> None:
    """Send numbered trades at an even pace to whoever subscribes; a second connection goes on where the first ended."""
    sent, begun = 0, 0.0
    done = asyncio.Event()

    async def tell(socket: ServerConnection) -> None:
        nonlocal sent, begun
        await socket.send('[{"T":"success","msg":"connected"}]')
        await socket.recv()
        await socket.send('[{"T":"success","msg":"authenticated"}]')
        await socket.recv()
        await socket.send(json.dumps([{"T": "subscription", "trades": SYMBOLS}]))
        begun = begun or time.monotonic()
        while sent < messages:
            due = min(messages, int((time.monotonic() - begun) * messages_a_second))
            at = format_rfc3339_ns(time.time_ns())
            while sent < due:
                sent += 1
                symbol = SYMBOLS[sent % len(SYMBOLS)]
                trade = (
                    f'[{{"T":"t","S":"{symbol}","i":{sent},"x":"V","p":187.25,"s":100,"c":["@"],"z":"C","t":"{at}"}}]'
                )
                await socket.send(trade)
            await asyncio.sleep(TICK_SECONDS)
        _say(time.monotonic() - begun)
        await socket.wait_closed()
        done.set()

    async def handle(socket: ServerConnection) -> None:
        try:
            await tell(socket)
        except ConnectionClosed:
            return

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        _say(server.sockets[0].getsockname()[1])
        await done.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
