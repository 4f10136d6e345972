"""Alpaca's stock stream: connect, subscribe, hand over trades, notice silence, reconnect, and close the gap by REST.

For a process that runs for hours; a poll belongs to `rest`, reading messages to `message`. Trades of stream and gap
overlap on purpose: they have the same ids.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.session import session_date_of, session_hours
from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.message import AlpacaBatch, MessageReader, error_of
from stock_pipeline.providers.client.api_client import BACK_OFF, CallObserver
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    LOOPBACK_HOSTS,
    ProviderPermanentError,
    ProviderRetryableError,
    ProviderTimeoutError,
    RequestRefusedError,
)

NANOSECONDS = 10**9
STREAM_URL = "wss://stream.data.alpaca.markets/v2/"
"""The feed follows. `v2/test` with the symbol FAKEPACA answers at all hours."""

OPENING_SECONDS = 10.0
SILENCE_SECONDS = 60.0
GAP_SECONDS = 600
"""Limit of one attempt at closing a gap; the next attempt begins anew."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class DisconnectedError(ProviderRetryableError):
    """The stream's connection ended or could not be made."""

    kind = "disconnected"


class SilentConnectionError(ProviderRetryableError):
    """The market is open and the connection says nothing: seen to last for hours."""

    kind = "silent"


class StreamObserver(CallObserver, Protocol):
    """Counter of what happens to the stream, called in the event loop's thread."""

    def gap_closed(self, provider: str, start_ns: int, end_ns: int) -> None:
        """Note that REST has read what the stream missed between two instants."""


class Connection(Protocol):
    """Open connection. `send` and `receive` raise `DisconnectedError` once it has ended."""

    async def send(self, message: str) -> None: ...

    async def receive(self) -> bytes: ...

    async def close(self) -> None: ...


Connect = Callable[[], Awaitable[Connection]]


def websocket_connect(url: str, tls: ssl.SSLContext | None = None) -> Connect:
    """Return a function that opens a websocket to `url` (`wss`, or `ws` on loopback) or raises `DisconnectedError`.

    Raises `RequestRefusedError` for another scheme.
    """
    place = urlsplit(url)
    if place.scheme != "wss" and (place.scheme != "ws" or place.hostname not in LOOPBACK_HOSTS):
        raise RequestRefusedError(f"{place.scheme}://{place.hostname} would send the key in the clear: use wss")

    async def connect() -> Connection:
        # Polling does not need it, and a Lambda does not have it.
        from websockets.asyncio.client import connect as open_websocket
        from websockets.exceptions import WebSocketException

        try:
            socket = await open_websocket(
                url,
                ssl=tls if place.scheme == "wss" else None,
                proxy=None,
                open_timeout=OPENING_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
                # The library's own logger writes every frame at DEBUG, the one with the key too.
                logger=logging.Logger("websockets.silenced", logging.CRITICAL),
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise DisconnectedError(f"no connection to {place.hostname} ({type(error).__name__})") from None
        return _Websocket(socket)

    return connect


class _Websocket:
    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def send(self, message: str) -> None:
        await self._guarded(self._socket.send(message))

    async def receive(self) -> bytes:
        message = await self._guarded(self._socket.recv(decode=False))
        return bytes(message)

    async def close(self) -> None:
        await self._socket.close()

    async def _guarded(self, step: Coroutine[Any, Any, Any]) -> Any:
        from websockets.exceptions import ConnectionClosed

        try:
            return await step
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else "no close frame"
            raise DisconnectedError(f"alpaca's stream ended ({code})") from None


class AlpacaStream:
    """Trades of `symbols` on one feed, for as long as `run` runs."""

    def __init__(
        self,
        connect: Connect,
        credentials: Credentials,
        symbols: Sequence[str],
        feed: str,
        *,
        publish: Callable[[Capture], None],
        read_gap: Callable[[int, int], Iterator[Capture]],
        now_ns: Callable[[], int],
        wait: Callable[[float], Awaitable[None]],
        jitter: random.Random,
        observer: StreamObserver,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """Prepare a stream; `run` connects.

        publish: takes a capture and returns once it is safe; called in worker threads
        read_gap: `AlpacaProvider.capture_since` (start_ns, deadline_ns); called in worker threads
        wait: sleeps for seconds
        """
        self._connect = connect
        self._credentials = credentials
        self._symbols = list(symbols)
        self._reader = MessageReader(feed, credentials, now_ns)
        self._publish = publish
        self._read_gap = read_gap
        self._now_ns = now_ns
        self._wait = wait
        self._jitter = jitter
        self._observer = observer
        self._silence_seconds = silence_seconds
        self._failures = 0
        self._complete_to_ns: int | None = None

    @property
    def complete_to_ns(self) -> int | None:
        """Return the instant up to which nothing is missing, where a later `run` may start; None before it is known."""
        return self._complete_to_ns

    async def run(self, stop: asyncio.Event, start_ns: int | None = None) -> None:
        """Hand over trades until `stop` is set.

        start_ns: everything since then is read first; nanoseconds since 1970 UTC

        Connections that end, stay silent or are refused for now are opened again, with back-off. Raises
        `CredentialsRefusedError`, `RequestRefusedError` and what `publish` raises.
        """
        self._complete_to_ns = start_ns
        while not stop.is_set():
            try:
                await self._session(stop)
            except ProviderPermanentError as error:
                self._observer.error("alpaca", error.kind)
                raise
            except ProviderRetryableError as error:
                self._observer.error("alpaca", error.kind)
                await self._pause(stop)

    async def _session(self, stop: asyncio.Event) -> None:
        self._observer.request("alpaca")
        connection = await self._connect()
        try:
            await self._in_time(self._open(connection))
            await self._receive(connection, stop)
        finally:
            await connection.close()

    async def _open(self, connection: Connection) -> None:
        await self._expect(connection, "success")
        credentials = self._credentials
        await connection.send(_json({"action": "auth", "key": credentials.key, "secret": credentials.secret}))
        await self._expect(connection, "success")
        # Corrections and cancellations come with the trades, unasked.
        await connection.send(_json({"action": "subscribe", "trades": self._symbols}))
        await self._expect(connection, "subscription")

    async def _expect(self, connection: Connection, kind: str) -> None:
        while True:
            batch = self._reader.read(await connection.receive())
            await self._hand_over(batch)
            if any(frame.kind == kind for frame in batch.controls):
                return

    async def _in_time(self, opening: Coroutine[Any, Any, None]) -> None:
        step, limit = asyncio.ensure_future(opening), asyncio.ensure_future(self._wait(OPENING_SECONDS))
        try:
            await asyncio.wait({step, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                raise ProviderTimeoutError("alpaca's stream did not confirm the subscription in time")
            step.result()
        finally:
            await _cancelled(step, limit)

    async def _receive(self, connection: Connection, stop: asyncio.Event) -> None:
        """Hand over message after message until `stop`; raise what ends the connection."""
        heard_ns = self._now_ns()
        gap = asyncio.ensure_future(self._close_gap(self._complete_to_ns, heard_ns))
        if self._complete_to_ns is None:
            self._complete_to_ns = heard_ns
        stopping = asyncio.ensure_future(stop.wait())
        message = asyncio.ensure_future(connection.receive())
        silence = asyncio.ensure_future(self._wait(self._silence_seconds))
        try:
            while not stopping.done():
                if gap.done():
                    gap.result()
                    # While the gap is open, later messages prove nothing about the time before them.
                    self._complete_to_ns = heard_ns
                waiting = {stopping, message, silence} | ({gap} if not gap.done() else set())
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if message.done():
                    arrived_ns = self._now_ns()
                    await self._hand_over(self._reader.read(message.result()))
                    heard_ns = arrived_ns
                    message = asyncio.ensure_future(connection.receive())
                elif silence.done():
                    self._check_silence(heard_ns)
                    silence = asyncio.ensure_future(self._wait(self._silence_seconds))
        finally:
            await _cancelled(stopping, message, silence, gap)

    async def _hand_over(self, batch: AlpacaBatch) -> None:
        if batch.trades or batch.unreadable:
            await asyncio.to_thread(self._publish, Capture(batch.trades, batch.unreadable))
            # Only now, because a server that drops every opened connection must meet a growing back-off.
            self._failures = 0
        for frame in batch.controls:
            if frame.kind == "error":
                raise error_of(frame, self._credentials)

    def _check_silence(self, heard_ns: int) -> None:
        now_ns = self._now_ns()
        hours = session_hours(session_date_of(now_ns))
        if hours is None or not hours.open_ns <= now_ns < hours.close_ns:
            return
        silent_ns = now_ns - max(heard_ns, hours.open_ns)
        if silent_ns >= self._silence_seconds * NANOSECONDS:
            raise SilentConnectionError(
                f"alpaca's stream said nothing for {silent_ns // NANOSECONDS} s while the market is open"
            )

    async def _close_gap(self, start_ns: int | None, end_ns: int) -> None:
        """Publish by REST what came before the subscription, trying until it is whole."""
        failures = 0
        while start_ns is not None:
            try:
                await asyncio.to_thread(self._publish_gap, start_ns)
            except RetryableError as error:
                failures += 1
                self._observer.error("alpaca", getattr(error, "kind", "gap"))
                await self._wait(BACK_OFF.seconds(failures, self._jitter.random))
            else:
                self._observer.gap_closed("alpaca", start_ns, end_ns)
                return

    def _publish_gap(self, start_ns: int) -> None:
        for capture in self._read_gap(start_ns, self._now_ns() + GAP_SECONDS * NANOSECONDS):
            self._publish(capture)

    async def _pause(self, stop: asyncio.Event) -> None:
        self._failures += 1
        seconds = BACK_OFF.seconds(self._failures, self._jitter.random)
        pause, stopping = asyncio.ensure_future(self._wait(seconds)), asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({pause, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(pause, stopping)


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()


async def _cancelled(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
