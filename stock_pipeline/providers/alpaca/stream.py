"""Alpaca's stock stream: one task reads, one publishes, one reads by REST what was missed, one settles amendments.

For a process that runs for hours; a poll belongs to `rest`. The reader does nothing but read, because a connection
whose pings wait for a publisher is closed. What is missing is said by `coverage` and read by `gap`. Trades of stream
and gap overlap on purpose: they have the same ids.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from stock_pipeline.domain.capture import Capture
from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.amendments import AmendmentSettler
from stock_pipeline.providers.alpaca.coverage import Coverage, Subscription
from stock_pipeline.providers.alpaca.frame_buffer import BacklogError, Frame, FrameBuffer
from stock_pipeline.providers.alpaca.gap import OVERLAP_SECONDS, SILENCE_SECONDS, GapReader, History, StreamObserver
from stock_pipeline.providers.alpaca.message import (
    AlpacaBatch,
    ControlFrame,
    MessageReader,
    controls_of,
    error_of,
)
from stock_pipeline.providers.alpaca.position import StreamPosition
from stock_pipeline.providers.alpaca.timing import Timing, cancelled
from stock_pipeline.providers.alpaca.websocket import OPENING_SECONDS, Connect, Connection, DisconnectedError
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    ProviderPermanentError,
    ProviderRetryableError,
    ProviderTimeoutError,
)

DECODED_AT_ONCE = 100
"""Frames between two turns of the reader: a few milliseconds."""


class StreamState(Enum):
    """What the stream is doing."""

    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    LISTENING = "listening"
    WAITING_FOR_ROOM = "waiting for the publisher"
    PAUSING = "pausing before the next connection"
    DRAINING = "publishing the last frames"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Selection:
    """What to listen to, and with which key."""

    symbols: Sequence[str]
    feed: str
    credentials: Credentials


@dataclass(frozen=True)
class Limits:
    """Times and sizes.

    silence_seconds: REST is asked about a symbol that says nothing for so long
    overlap_seconds: REST is read from so long before a gap to so long after it
    linger_seconds: frames are gathered for so long, because a call costs the same for one trade and for thousands
    drain_seconds: at the end, frames in the buffer have so long to be published
    """

    silence_seconds: float = SILENCE_SECONDS
    overlap_seconds: float = OVERLAP_SECONDS
    ping_seconds: float = 15.0
    pong_seconds: float = 20.0
    linger_seconds: float = 0.1
    drain_seconds: float = 10.0
    buffer_bytes: int = 64 * 1024 * 1024
    batch_bytes: int = 16 * 1024 * 1024


class AlpacaStream:
    """Trades of a selection, for as long as `run` runs."""

    def __init__(
        self,
        selection: Selection,
        connect: Connect,
        publish: Callable[[Capture], Awaitable[None]],
        history: History,
        timing: Timing,
        observer: StreamObserver,
        start: StreamPosition,
        limits: Limits | None = None,
    ) -> None:
        """Prepare a stream; `run` connects.

        publish: takes a capture and returns once it is safe
        start: nothing since then may be missing, so it must be stored by now
        """
        self._selection = selection
        self._connect = connect
        self._publish = publish
        self._timing = timing
        self._observer = observer
        self._limits = limits = limits or Limits()
        self._reader = MessageReader(selection.feed, selection.credentials, timing.now_ns)
        self._buffer = FrameBuffer(self._limits.buffer_bytes)
        self._amendments = AmendmentSettler(self._reader, history, timing, observer, limits.overlap_seconds)
        for message in start.amendments:
            self._amendments.add(self._reader.read(f"[{message}]".encode()).unsettled)
        self._failures = 0
        self._fault: asyncio.Future[None] | None = None
        self._coverage = Coverage(selection.symbols, limits.overlap_seconds, start.complete_to_ns)
        self._gap = GapReader(
            history,
            selection.symbols,
            self._coverage,
            timing,
            observer,
            self._end_connection,
            overlap_seconds=limits.overlap_seconds,
            silence_seconds=limits.silence_seconds,
            gap=start.gap,
        )
        self.state = StreamState.STOPPED

    @property
    def position(self) -> StreamPosition:
        """Return where a later stream may start."""
        return StreamPosition(self._coverage.position_ns, self._gap.gap, self._amendments.waiting)

    @property
    def waiting_frames(self) -> int:
        """Return how many frames are not taken by the publisher yet."""
        return len(self._buffer)

    async def run(self, stop: asyncio.Event) -> None:
        """Hand over trades until `stop` is set. For one time only.

        Connections that end, leave trades out or are refused for now are opened again, with back-off. Raises
        `CredentialsRefusedError`, `RequestRefusedError` and what `publish` raises, unless trying again may help.
        """
        connecting = asyncio.create_task(self._keep_connected(stop))
        publishing = asyncio.create_task(self._publish_frames())
        reading = asyncio.create_task(self._gap.run())
        settling = asyncio.create_task(self._amendments.run())
        stopping = asyncio.create_task(stop.wait())
        try:
            await _first_of(stopping, connecting, publishing, reading, settling)
            await cancelled(connecting, reading, settling)
            self.state = StreamState.DRAINING
            await self._drain(publishing)
        finally:
            await cancelled(stopping, connecting, publishing, reading, settling)
            self.state = StreamState.STOPPED

    async def _keep_connected(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._one_connection()
            except ProviderPermanentError as error:
                self._observer.error("alpaca", error.kind, str(error))
                raise
            except ProviderRetryableError as error:
                self._observer.error("alpaca", error.kind, str(error))
                if isinstance(error, BacklogError):
                    self.state = StreamState.WAITING_FOR_ROOM
                    await self._buffer.wait_for_room()
            self.state = StreamState.PAUSING
            self._failures += 1
            await self._timing.back_off(self._failures)

    async def _one_connection(self) -> None:
        """Open a connection and read it; raise what ends it."""
        self.state = StreamState.CONNECTING
        self._observer.request("alpaca")
        connection = await self._connect()
        try:
            self.state = StreamState.SUBSCRIBING
            try:
                confirmation = await self._timing.within(OPENING_SECONDS, self._open(connection))
            except TimeoutError:
                raise ProviderTimeoutError("alpaca's stream did not confirm the subscription in time") from None
            subscription = self._subscribed(*confirmation)
            self.state = StreamState.LISTENING
            self._gap.connected()
            await self._listen(connection, subscription)
        finally:
            self._coverage.end()
            await connection.close()

    async def _open(self, connection: Connection) -> tuple[ControlFrame, bytes]:
        """Return the confirmation, and the message that holds it."""
        credentials = self._selection.credentials
        await self._expect(connection, "success")
        await connection.send(_json({"action": "auth", "key": credentials.key, "secret": credentials.secret}))
        await self._expect(connection, "success")
        # Corrections and cancellations come with the trades, unasked.
        await connection.send(_json({"action": "subscribe", "trades": list(self._selection.symbols)}))
        return await self._expect(connection, "subscription")

    async def _expect(self, connection: Connection, kind: str) -> tuple[ControlFrame, bytes]:
        while True:
            message = await connection.receive()
            for frame in controls_of(message, self._selection.credentials):
                if frame.kind == "error":
                    raise error_of(frame, self._selection.credentials)
                if frame.kind == kind:
                    return frame, message

    def _subscribed(self, confirmation: ControlFrame, message: bytes) -> Subscription:
        """Begin the subscription. Symbols that it lacks are read by REST, because the others must not wait for them."""
        missing = sorted(set(self._selection.symbols) - set(confirmation.trades))
        if missing:
            names = ", ".join(missing[:10])
            self._observer.error(
                "alpaca", "subscription", f"alpaca's stream did not confirm {names}: check SYMBOLS and the key's plan"
            )
        now_ns = self._timing.now_ns()
        subscription = self._coverage.subscribe(now_ns, confirmation.trades)
        # Trades may come in the same message.
        self._buffer.put(Frame(message, now_ns, subscription))
        return subscription

    async def _listen(self, connection: Connection, subscription: Subscription) -> None:
        self._fault = asyncio.get_running_loop().create_future()
        reading = asyncio.create_task(self._read(connection, subscription))
        pinging = asyncio.create_task(self._ping(connection, subscription))
        try:
            await _first_of(reading, pinging, self._fault)
        finally:
            await cancelled(reading, pinging, self._fault)
            self._fault = None

    async def _read(self, connection: Connection, subscription: Subscription) -> None:
        while True:
            message = await connection.receive()
            self._buffer.put(Frame(message, self._timing.now_ns(), subscription))

    async def _ping(self, connection: Connection, subscription: Subscription) -> None:
        while True:
            await self._timing.wait(self._limits.ping_seconds)
            asked_ns = self._timing.now_ns()
            try:
                await self._timing.within(self._limits.pong_seconds, connection.ping())
            except TimeoutError:
                raise DisconnectedError("alpaca's stream did not answer a ping") from None
            self._failures = 0
            if self._buffer.is_idle:
                # Whatever was sent before the ping came before its answer.
                self._coverage.published(subscription, asked_ns)

    def _end_connection(self, error: ProviderRetryableError) -> None:
        if self._fault is not None and not self._fault.done():
            self._fault.set_exception(error)

    async def _publish_frames(self) -> None:
        while True:
            await self._buffer.wait_for_frame()
            await self._timing.wait(self._limits.linger_seconds)
            frames = self._buffer.take(self._limits.batch_bytes)
            contents = await self._decoded(frames)
            capture = Capture(
                tuple(trade for content in contents for trade in content.trades),
                tuple(bad for content in contents for bad in content.unreadable),
            )
            if capture.trades or capture.unreadable:
                await self._timing.until_done(lambda: self._publish(capture), self._note)  # noqa: B023
            for frame, content in zip(frames, contents, strict=True):
                self._coverage.published(frame.subscription, frame.arrived_ns, content.trades)
            self._buffer.settle()
            self._amendments.add(amendment for content in contents for amendment in content.unsettled)
            if capture.trades:
                # Only now, because a server that drops every opened connection must meet a growing back-off.
                self._failures = 0
            self._heed(zip(frames, contents, strict=True))

    async def _decoded(self, frames: Sequence[Frame]) -> list[AlpacaBatch]:
        contents: list[AlpacaBatch] = []
        for begin in range(0, len(frames), DECODED_AT_ONCE):
            contents += [self._reader.read(frame.message) for frame in frames[begin : begin + DECODED_AT_ONCE]]
            await asyncio.sleep(0)
        return contents

    def _heed(self, frames: Iterable[tuple[Frame, AlpacaBatch]]) -> None:
        """Raise or pass on what an error among the frames means."""
        for frame, content in frames:
            for control in content.controls:
                if control.kind != "error":
                    continue
                error = error_of(control, self._selection.credentials)
                if isinstance(error, ProviderPermanentError):
                    self._observer.error("alpaca", error.kind, str(error))
                    raise error
                if frame.subscription is self._coverage.subscription:
                    self._end_connection(error)

    def _note(self, error: RetryableError) -> None:
        self._observer.error("alpaca", "publish", str(error))

    async def _drain(self, publishing: "asyncio.Task[None]") -> None:
        idle = asyncio.create_task(self._buffer.wait_until_idle())
        limit = asyncio.ensure_future(self._timing.wait(self._limits.drain_seconds))
        try:
            await _first_of(publishing, idle, limit)
        finally:
            await cancelled(idle, limit)


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()


async def _first_of(*futures: "asyncio.Future[Any]") -> None:
    """Return once one of them is done, and raise what it raises."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()
