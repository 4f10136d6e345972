"""Server-sent events: frames encoded once, for any number of clients.

A client that is slow gets the frames that it missed, or, past the kept ones, `reset`: it then asks for the whole board.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from stock_pipeline.domain.symbol_state import SymbolKey

KEPT_FRAMES = 120
HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2_000


class Frame(NamedTuple):
    """A change. quotes: JSON by symbol and feed. everything: all figures are new, so clients ask for the board.

    alerts: price alerts that were told, as JSON with what they are of.
    """

    number: int
    quotes: Mapping[SymbolKey, bytes]
    everything: bool = False
    alerts: tuple[tuple[SymbolKey, bytes], ...] = ()


class Events:
    """Used on the event loop only."""

    def __init__(self) -> None:
        self.number = 0
        self.clients = 0
        self._frames: deque[Frame] = deque(maxlen=KEPT_FRAMES)
        self._arrived = asyncio.Event()
        self._closing = False

    def publish(self, frame: Frame) -> None:
        self.number = frame.number
        self._frames.append(frame)
        self._wake()

    def close(self) -> None:
        """End every stream."""
        self._closing = True
        self._wake()

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def stream(self, after: int | None, symbols: frozenset[str]) -> AsyncIterator[bytes]:
        """Yield events after the given number, or from now on; of some symbols, or of all."""
        self.clients += 1
        try:
            number = self.number if after is None else after
            yield f"retry: {RETRY_MILLISECONDS}\n: connected\n\n".encode()
            while not self._closing:
                arrived = self._arrived
                for event in self._after(number, symbols):
                    yield event
                number = self.number
                try:
                    await asyncio.wait_for(arrived.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self.clients -= 1

    def _after(self, number: int, symbols: frozenset[str]) -> list[bytes]:
        if number == self.number:
            return []
        missed = [frame for frame in self._frames if frame.number > number]
        # numbers begin anew with the process
        is_gap = number > self.number or not missed or missed[0].number != number + 1
        if is_gap or any(frame.everything for frame in missed):
            return [_event(self.number, "reset", b"{}")]
        quotes = {
            key: quote
            for frame in missed
            for key, quote in frame.quotes.items()
            if not symbols or key.symbol in symbols
        }
        alerts = [row for frame in missed for key, row in frame.alerts if not symbols or key.symbol in symbols]
        found = {"quotes": list(quotes.values()), "alerts": alerts}
        return [
            _event(self.number, name, b'{"%s":[%s]}' % (name.encode(), b",".join(rows)))
            for name, rows in found.items()
            if rows
        ]


def _event(number: int, name: str, data: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), data)
