"""The frames between the connection that is read and the publisher, within a bound."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from stock_pipeline.providers.alpaca.coverage import Subscription
from stock_pipeline.providers.client.http import ProviderRetryableError

FRAME_OVERHEAD_BYTES = 200
"""What a frame costs beside its message."""


class BacklogError(ProviderRetryableError):
    """More frames wait than there is room for: the connection is given up, and REST reads what it would have said."""

    kind = "backlog"


class Frame(NamedTuple):
    message: bytes
    arrived_ns: int
    subscription: Subscription

    @property
    def size(self) -> int:
        return len(self.message) + FRAME_OVERHEAD_BYTES


class FrameBuffer:
    """Frames in the order of their arrival. For one event loop, one reader and one publisher."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._taken_bytes = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def is_idle(self) -> bool:
        """Return True if every frame that was put is published."""
        return not self._frames and not self._taken_bytes

    def put(self, frame: Frame) -> None:
        """Add a frame, or raise `BacklogError`."""
        size = frame.size
        if self._bytes and self._bytes + size > self._limit_bytes:
            raise BacklogError(
                f"{len(self._frames)} frames wait to be published, which fills the buffer: "
                "the stream behind it is slow or refuses"
            )
        self._frames.append(frame)
        self._bytes += size
        self._changed.set()

    async def wait_for_frame(self) -> None:
        await self._until(lambda: bool(self._frames))

    async def wait_for_room(self) -> None:
        """Return once half of it is free."""
        await self._until(lambda: self._bytes * 2 <= self._limit_bytes)

    async def wait_until_idle(self) -> None:
        await self._until(lambda: self.is_idle)

    def take(self, most_bytes: int) -> list[Frame]:
        """Return the oldest frames, at least one if there is any. They need their room until `settle`."""
        taken: list[Frame] = []
        while self._frames and (not taken or self._taken_bytes + self._frames[0].size <= most_bytes):
            frame = self._frames.popleft()
            taken.append(frame)
            self._taken_bytes += frame.size
        return taken

    def settle(self) -> None:
        """Free the room of what was taken."""
        self._bytes -= self._taken_bytes
        self._taken_bytes = 0
        self._changed.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()
