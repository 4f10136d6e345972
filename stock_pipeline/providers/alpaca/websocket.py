"""One websocket connection to Alpaca: opened, read, pinged, and what its handshake's status means.

What is said on it belongs to `message`, and when to open another one to `stream`.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol
from urllib.parse import urlsplit

from stock_pipeline.providers.client.http import (
    LOOPBACK_HOSTS,
    CredentialsRefusedError,
    ProviderPermanentError,
    ProviderRetryableError,
    RequestRefusedError,
    error_of_status,
)

STREAM_URL = "wss://stream.data.alpaca.markets/v2/"
"""The feed follows. `v2/test` with the symbol FAKEPACA answers at all hours."""

OPENING_SECONDS = 10.0
CLOSING_SECONDS = 2.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class DisconnectedError(ProviderRetryableError):
    """The stream's connection ended or could not be made."""

    kind = "disconnected"


class Connection(Protocol):
    """Open connection. All but `close` raise `DisconnectedError` once it has ended."""

    async def send(self, message: str) -> None: ...

    async def receive(self) -> bytes: ...

    async def ping(self) -> None:
        """Return once the other end has answered."""

    async def close(self) -> None: ...


Connect = Callable[[], Awaitable[Connection]]


def websocket_connect(url: str, tls: ssl.SSLContext | None = None) -> Connect:
    """Return a function that opens a websocket to `url` (`wss`, or `ws` on loopback).

    It raises `DisconnectedError`, or what `handshake_error` makes of a status. Raises `RequestRefusedError` for
    another scheme.
    """
    place = urlsplit(url)
    if place.scheme != "wss" and (place.scheme != "ws" or place.hostname not in LOOPBACK_HOSTS):
        raise RequestRefusedError(f"{place.scheme}://{place.hostname} would send the key in the clear: use wss")
    host, feed = place.hostname or "", place.path.rpartition("/")[2]

    async def connect() -> Connection:
        # Polling does not need it, and a Lambda does not have it.
        from websockets.asyncio.client import connect as open_websocket
        from websockets.exceptions import InvalidStatus, WebSocketException

        class OpenHere(open_websocket):
            def process_redirect(self, exc: Exception) -> Exception | str:
                # Another server must not be sent the key.
                return exc

        try:
            socket = await OpenHere(
                url,
                ssl=tls if place.scheme == "wss" else None,
                proxy=None,
                open_timeout=OPENING_SECONDS,
                close_timeout=CLOSING_SECONDS,
                # The stream pings, because it must know what was answered.
                ping_interval=None,
                max_size=MAX_MESSAGE_BYTES,
                # The library's own logger writes every frame at DEBUG, the one with the key too.
                logger=logging.Logger("websockets.silenced", logging.CRITICAL),
            )
        except InvalidStatus as error:
            raise handshake_error(error.response.status_code, host, feed) from None
        except (OSError, TimeoutError, WebSocketException) as error:
            raise DisconnectedError(f"no connection to {host} ({type(error).__name__})") from None
        return _Websocket(socket)

    return connect


def handshake_error(status: int, host: str, feed: str) -> ProviderPermanentError | ProviderRetryableError:
    """Return what a handshake's status means: its class decides. `kind` holds the status, for the counts."""
    said = f"{host} answered the handshake for the feed {feed!r} with {status}"
    kind_of_error = error_of_status(status)
    if kind_of_error is CredentialsRefusedError:
        said += ": check FEED, and what the key's plan allows"
    elif kind_of_error is RequestRefusedError:
        said += ": check FEED and the address"
    error = kind_of_error(said)
    error.kind = f"handshake_{status}"
    return error


class _Websocket:
    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def send(self, message: str) -> None:
        await self._guarded(self._socket.send(message))

    async def receive(self) -> bytes:
        message = await self._guarded(self._socket.recv(decode=False))
        return bytes(message)

    async def ping(self) -> None:
        await self._guarded(self._answered())

    async def close(self) -> None:
        await self._socket.close()

    async def _answered(self) -> None:
        await (await self._socket.ping())

    async def _guarded(self, step: Coroutine[Any, Any, Any]) -> Any:
        from websockets.exceptions import ConnectionClosed

        try:
            return await step
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else "no close frame"
            raise DisconnectedError(f"alpaca's stream ended ({code})") from None
