"""Cancels and corrections of trades that the stream does not remember: settled once their originals are found.

They wait here, so that no trade waits for them. What an amendment means belongs to `message`, the search to `original`.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.gap import History, StreamObserver
from stock_pipeline.providers.alpaca.message import Amendment, MessageReader
from stock_pipeline.providers.alpaca.original import OriginalFinder
from stock_pipeline.providers.alpaca.pages import CapturePosition, TradePages
from stock_pipeline.providers.alpaca.timing import Timing
from stock_pipeline.providers.client.http import ProviderRetryableError, RequestRefusedError


class AmendmentSettler:
    """Publisher of amendments, one after the other. For one event loop."""

    def __init__(self, reader: MessageReader, history: History, timing: Timing, observer: StreamObserver) -> None:
        self._reader = reader
        self._history = history
        self._timing = timing
        self._observer = observer
        self._originals = OriginalFinder(history.pages_of, self._read)
        self._waiting: deque[Amendment] = deque()
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> tuple[str, ...]:
        """Return the messages that are not settled, for a later process. For any thread."""
        return tuple(amendment.piece.decode("utf-8", "replace") for amendment in self._waiting.copy())

    def add(self, amendments: Iterable[Amendment]) -> None:
        self._waiting.extend(amendments)
        self._arrived.set()

    async def run(self) -> None:
        """Settle what comes, for as long as the stream runs."""
        while True:
            self._arrived.clear()
            while self._waiting:
                await self._publish(await self._settled(self._waiting[0]))
                self._waiting.popleft()
            await self._arrived.wait()

    async def _settled(self, amendment: Amendment) -> Capture:
        # The one before it may be the correction that this one amends.
        rows = self._reader.settled(amendment) or self._reader.settled(amendment, await self._original_of(amendment))
        return Capture((), (self._reader.orphan(amendment),)) if rows is None else Capture(tuple(rows))

    async def _original_of(self, amendment: Amendment) -> Trade | None:
        try:
            return await self._originals.find(amendment)
        except RequestRefusedError as error:
            self._observer.error("alpaca", error.kind, str(error))
            return None

    async def _read(self, pages: TradePages, place: CapturePosition) -> tuple[Capture, CapturePosition]:
        return await self._timing.until_done(lambda: self._history.read(pages, place), self._note)

    async def _publish(self, capture: Capture) -> None:
        await self._timing.until_done(lambda: self._history.publish(capture), self._note)

    def _note(self, error: RetryableError) -> None:
        # The API's client has counted its own already.
        if not isinstance(error, ProviderRetryableError):
            self._observer.error("alpaca", "publish", str(error))
