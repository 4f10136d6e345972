"""A tape, the websocket and the REST API that tell of it, and a publisher, all in virtual time."""

import asyncio
import bisect
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.gap import History
from stock_pipeline.providers.alpaca.pages import CapturePosition, TradePages
from stock_pipeline.providers.alpaca.position import StreamPosition
from stock_pipeline.providers.alpaca.rest import alpaca_client
from stock_pipeline.providers.alpaca.stream import AlpacaStream, Limits, Selection
from stock_pipeline.providers.alpaca.timing import Timing
from stock_pipeline.providers.alpaca.websocket import DisconnectedError
from stock_pipeline.providers.client.http import HttpAnswer
from stock_pipeline.providers.client.token_bucket import TokenBucket
from stock_pipeline.providers.timestamps import format_rfc3339_ns, parse_rfc3339_ns
from tests.support.provider_fakes import SECOND, RecordingObserver, credentials, query_of
from tests.support.virtual_time import START_NS, now_ns


@dataclass(frozen=True, order=True)
class Print:
    """One trade of the tape, or the cancel of the trade with a number."""

    time_ns: int
    symbol: str
    number: int
    is_cancel: bool = False
    shares: float = 1

    def frame(self) -> bytes:
        wire = {"T": "x" if self.is_cancel else "t", "S": self.symbol, **self.wire()}
        return json.dumps([wire]).encode()

    def wire(self) -> dict[str, Any]:
        return {"i": self.number, "x": "V", "p": 1.5, "s": self.shares, "t": format_rfc3339_ns(self.time_ns)}


def prints(symbol: str, first_second: float, last_second: float, every: float = 1.0) -> list[Print]:
    """A symbol's trades at even distances; their numbers are milliseconds."""
    count = round((last_second - first_second) / every)
    seconds = [first_second + n * every for n in range(count + 1)]
    return [Print(START_NS + round(second * SECOND), symbol, round(second * 1000) + 10**6) for second in seconds]


@dataclass
class Faults:
    """What goes wrong. Seconds are the simulation's.

    connection_seconds: how long the n-th connection lasts; the last one is repeated
    away: whether no connection can be made at a second
    left_out: whether a connection leaves a print out
    rest_lag: how far REST is behind the tape
    page_seconds: what a page takes
    rest_refuses: whether REST answers 503 at a second
    publish_seconds: what a publish takes at a second
    publish_fails: whether it raises `RetryableError` at a second
    pongs: whether pings are answered
    """

    connection_seconds: Sequence[float] = (10**9,)
    away: Callable[[float], bool] = lambda _: False
    left_out: Callable[[Print], bool] = lambda _: False
    confirmed: Callable[[list[str]], list[str]] = lambda asked: asked
    rest_lag: float = 0.0
    page_seconds: float = 0.05
    page_trades: int = 10_000
    rest_refuses: Callable[[float], bool] = lambda _: False
    publish_seconds: Callable[[float], float] = lambda _: 0.03
    publish_fails: Callable[[float], bool] = lambda _: False
    pongs: bool = True


def elapsed() -> float:
    return (now_ns() - START_NS) / SECOND


@dataclass
class Exchange:
    """The outside of a stream. `published` are the numbers of trades that were made safe."""

    tape: list[Print]
    faults: Faults = field(default_factory=Faults)
    published: dict[int, float] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    parked: list[UnreadablePayload] = field(default_factory=list)
    publishes: list[int] = field(default_factory=list)
    connections: int = 0
    windows: list[CapturePosition] = field(default_factory=list)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    reading: int = 0
    most_reading: int = 0

    def __post_init__(self) -> None:
        self.tape.sort()
        self._tape_of: dict[str, list[Print]] = {}
        self._cancelled_ns: dict[int, int] = {}
        for one in self.tape:
            if one.is_cancel:
                self._cancelled_ns[one.number] = one.time_ns
            else:
                self._tape_of.setdefault(one.symbol, []).append(one)

    async def connect(self) -> "SimulatedConnection":
        if self.faults.away(elapsed()):
            raise DisconnectedError("the simulation is away")
        lives = self.faults.connection_seconds
        self.connections += 1
        return SimulatedConnection(self, elapsed() + lives[min(self.connections, len(lives)) - 1])

    async def publish(self, capture: Capture) -> None:
        await asyncio.sleep(self.faults.publish_seconds(elapsed()))
        if self.faults.publish_fails(elapsed()):
            raise RetryableError("the queue is away")
        self.publishes.append(len(capture.trades))
        self.parked += capture.unreadable
        for trade in capture.trades:
            self.published.setdefault(trade.sequence, elapsed())
            if trade.status == "cancelled":
                self.cancelled.add(trade.event_id)

    def get(self, target: str, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        """Answer as Alpaca's REST does: by symbol, then time, page by page."""
        if self.faults.rest_refuses(elapsed()):
            return HttpAnswer(503, {}, b"{}")
        asked = query_of(target)
        known_ns = now_ns() - round(self.faults.rest_lag * SECOND)
        start_ns = parse_rfc3339_ns(asked["start"])
        last = Print(min(parse_rfc3339_ns(asked["end"]), known_ns), "~", 0)
        # A token is a place in the order and no number, because trades are still added.
        at_symbol, at_ns = json.loads(asked.get("page_token", '["", 0]'))
        trades: dict[str, list[dict[str, Any]]] = {}
        token, room = None, self.faults.page_trades
        for symbol in sorted(asked["symbols"].split(",")):
            rows = self._tape_of.get(symbol, [])
            first = Print(at_ns, "~", 0) if symbol == at_symbol else Print(start_ns, "", 0)
            found = (
                rows[bisect.bisect_left(rows, first) : bisect.bisect_right(rows, last)] if symbol >= at_symbol else []
            )
            if found and room:
                trades[symbol] = [self._wire(row, known_ns) for row in found[:room]]
                at_ns_of_last = found[:room][-1].time_ns
                token = json.dumps([symbol, at_ns_of_last])
            more = len(found) > room
            room = max(room - len(found), 0)
            if more:
                break
        else:
            token = None
        return HttpAnswer(200, {}, json.dumps({"trades": trades, "next_page_token": token}).encode())

    def _wire(self, one: Print, known_ns: int) -> dict[str, Any]:
        void = self._cancelled_ns.get(one.number, known_ns + 1) <= known_ns
        return {**one.wire(), "u": "canceled"} if void else one.wire()

    async def read(self, pages: TradePages, place: CapturePosition) -> tuple[Capture, CapturePosition]:
        self.windows.append(place)
        self.reading += 1
        self.most_reading = max(self.most_reading, self.reading)
        try:
            await asyncio.sleep(self.faults.page_seconds)
            return pages.read(place, now_ns() + SECOND)
        finally:
            self.reading -= 1

    def history(self) -> History:
        client = alpaca_client(
            credentials(),
            now_ns=now_ns,
            wait=lambda seconds: None,
            jitter=random.Random(1),
            observer=self.observer,
            http=self,
            bucket=TokenBucket(10**6, 10**6, now_ns, lambda seconds: None),
        )
        return History(lambda symbols: TradePages(client, symbols, "iex", now_ns), self.read, self.publish)

    def stream(self, symbols: Sequence[str], start: StreamPosition | None = None, **limits: Any) -> AlpacaStream:
        return AlpacaStream(
            Selection(symbols, "iex", credentials()),
            self.connect,
            self.publish,
            self.history(),
            Timing(now_ns, asyncio.sleep, random.Random(1)),
            self.observer,
            start or StreamPosition(now_ns()),
            Limits(**limits),
        )

    async def run(
        self, symbols: Sequence[str], seconds: float, start: StreamPosition | None = None, **limits: Any
    ) -> StreamPosition:
        """Run a stream until a second of the simulation, and return where it stood when it was killed."""
        stream = self.stream(symbols, start, **limits)
        task = asyncio.create_task(stream.run(asyncio.Event()))
        await asyncio.wait({task}, timeout=seconds - elapsed())
        if task.done():
            task.result()
        position = stream.position
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return position

    def missing(self, since: float, until: float) -> list[float]:
        """The seconds of the trades between two seconds that were never published."""
        times = [(p.time_ns - START_NS) / SECOND for p in self.tape if p.number not in self.published]
        return [second for second in times if since <= second <= until]


class SimulatedConnection:
    """A connection that tells what the tape says after its subscription, until it ends."""

    def __init__(self, exchange: Exchange, ends_at: float) -> None:
        self._exchange = exchange
        self._ends_at = ends_at
        self._said = [b'[{"T":"success","msg":"connected"}]']
        self._next = -1

    async def send(self, message: str) -> None:
        asked = json.loads(message)
        if asked["action"] == "auth":
            self._said.append(b'[{"T":"success","msg":"authenticated"}]')
        else:
            confirmed = self._exchange.faults.confirmed(asked["trades"])
            self._said.append(json.dumps([{"T": "subscription", "trades": confirmed}]).encode())
            self._next = bisect.bisect_right(self._exchange.tape, Print(now_ns(), "~", 0))
            self._symbols = frozenset(confirmed)

    async def receive(self) -> bytes:
        if self._said:
            return self._said.pop(0)
        while True:
            tape = self._exchange.tape
            at = (tape[self._next].time_ns - START_NS) / SECOND if self._next < len(tape) else self._ends_at
            if at >= self._ends_at:
                await asyncio.sleep(max(self._ends_at - elapsed(), 0))
                raise DisconnectedError("the simulation ended it")
            if at > elapsed():
                await asyncio.sleep(at - elapsed())
                continue
            said = tape[self._next]
            self._next += 1
            if said.symbol in self._symbols and not self._exchange.faults.left_out(said):
                return said.frame()

    async def ping(self) -> None:
        await asyncio.sleep(0.01 if self._exchange.faults.pongs else 10**9)

    async def close(self) -> None:
        self._ends_at = 0
