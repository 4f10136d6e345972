"""Cancels and corrections of trades that the stream does not remember: settled once their originals are found.

They wait here, so that no trade waits for them. What an amendment means belongs to `message`, the search to `original`.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.coverage import NANOSECONDS
from stock_pipeline.providers.alpaca.gap import History, StreamObserver
from stock_pipeline.providers.alpaca.message import Amendment, MessageReader
from stock_pipeline.providers.alpaca.original import OriginalFinder
from stock_pipeline.providers.alpaca.pages import CapturePosition, TradePages
from stock_pipeline.providers.alpaca.timing import Timing
from stock_pipeline.providers.client.http import ProviderRetryableError, RequestRefusedError


@dataclass(eq=False, slots=True)
class _Waiting:
    """An amendment. again_ns: when its original is looked for once more; None before the first time"""

    amendment: Amendment
    again_ns: int | None = None


class AmendmentSettler:
    """Publisher of amendments, one after the other. For one event loop."""

    def __init__(
        self,
        reader: MessageReader,
        history: History,
        timing: Timing,
        observer: StreamObserver,
        overlap_seconds: float,
    ) -> None:
        """Prepare settling. overlap_seconds: most that REST is behind, before an original counts as unknown"""
        self._reader = reader
        self._history = history
        self._timing = timing
        self._observer = observer
        self._originals = OriginalFinder(history.pages_of, self._read)
        self._overlap_ns = int(overlap_seconds * NANOSECONDS)
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> tuple[str, ...]:
        """Return the messages that are not settled, for a later process. For any thread."""
        return tuple(one.amendment.piece.decode("utf-8", "replace") for one in self._waiting.copy())

    def add(self, amendments: Iterable[Amendment]) -> None:
        self._waiting.extend(map(_Waiting, amendments))
        if self._waiting:
            self._arrived.set()

    async def run(self) -> None:
        """Settle what comes, for as long as the stream runs."""
        while True:
            self._arrived.clear()
            for one in self._waiting.copy():
                if one.again_ns is None or one.again_ns <= self._timing.now_ns():
                    await self._settle(one)
            await self._something_to_do()

    async def _settle(self, one: _Waiting) -> None:
        # The one before it may be the correction that this one amends.
        rows = self._reader.settled(one.amendment) or self._reader.settled(
            one.amendment, await self._original_of(one.amendment)
        )
        if rows is None and one.again_ns is None:
            one.again_ns = self._timing.now_ns() + self._overlap_ns
            return
        orphan = self._reader.orphan(one.amendment)
        await self._publish(Capture((), (orphan,)) if rows is None else Capture(tuple(rows)))
        self._waiting.remove(one)

    async def _something_to_do(self) -> None:
        due = [one.again_ns for one in self._waiting if one.again_ns is not None]
        if not due:
            await self._arrived.wait()
            return
        with suppress(TimeoutError):
            await self._timing.within((min(due) - self._timing.now_ns()) / NANOSECONDS, self._arrived.wait())

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
