"""uvicorn with an end that clients of open streams see as one."""

import asyncio
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from stock_pipeline.serving.events import Events

GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """Ends streams at the signal, because uvicorn waits for them before it tells the application to shut down."""

    def __init__(self, app: ASGIApp, events: Events) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_SECONDS
            )
        )
        self._events = events
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end_streams()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """End as at a signal; from any thread."""
        self._end_streams()
        self.should_exit = True

    def _end_streams(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._events.close)
