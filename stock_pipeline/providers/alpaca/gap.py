"""The one reader of what the stream missed, by REST: gaps, and symbols that may only seem to be quiet.

What is missing is said by `coverage`. The reader outlives connections, and goes on at the page where it was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stock_pipeline.domain.capture import Capture
from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.coverage import NANOSECONDS, Coverage, Subscription
from stock_pipeline.providers.alpaca.pages import CapturePosition, TradePages
from stock_pipeline.providers.alpaca.timing import Timing, cancelled
from stock_pipeline.providers.client.api_client import CallObserver
from stock_pipeline.providers.client.http import ProviderRetryableError, RequestRefusedError
from stock_pipeline.providers.seen_trades import SeenPieces

SPACING_SECONDS = 10.0
"""Between two windows, because connections may come and go faster than REST should be asked."""

OVERLAP_SECONDS = 300.0
SILENCE_SECONDS = 60.0


class SilentConnectionError(ProviderRetryableError):
    """REST shows trades that the stream left out: seen to last for hours on connections that answer every ping."""

    kind = "silent"


class StreamObserver(CallObserver, Protocol):
    """Counter of what happens to the stream, called in the event loop's thread."""

    def gap_closed(self, provider: str, start_ns: int, end_ns: int) -> None:
        """Note that REST has read what the stream missed between two instants."""


@dataclass(frozen=True)
class History:
    """Trades by REST.

    pages_of: the pages of some symbols
    read: a page, and the position after it
    publish: takes a page, and returns once it is safe
    """

    pages_of: Callable[[Sequence[str]], TradePages]
    read: Callable[[TradePages, CapturePosition], Awaitable[tuple[Capture, CapturePosition]]]
    publish: Callable[[Capture], Awaitable[None]]


class GapReader:
    """Reader of gaps into the stream's publisher.

    gap: the window that is being read
    """

    def __init__(
        self,
        history: History,
        symbols: Sequence[str],
        coverage: Coverage,
        timing: Timing,
        observer: StreamObserver,
        on_silence: Callable[[SilentConnectionError], None],
        *,
        overlap_seconds: float,
        silence_seconds: float,
        gap: CapturePosition | None,
    ) -> None:
        self._history = history
        self._pages = history.pages_of(symbols)
        self._coverage = coverage
        self._timing = timing
        self._observer = observer
        self._on_silence = on_silence
        self._overlap_ns = int(overlap_seconds * NANOSECONDS)
        self._silence_ns = int(silence_seconds * NANOSECONDS)
        self.gap = None if gap is None else self._pages.resumed(gap)
        self._read_at_ns = timing.now_ns()
        self._read_for: Subscription | None = None
        self._seen = SeenPieces()
        self._connected = asyncio.Event()

    def connected(self) -> None:
        """Look at once whether the new subscription leaves a gap."""
        self._connected.set()

    async def run(self) -> None:
        """Read what is missing, for as long as the stream runs. Raises what no trying mends."""
        while True:
            self._connected.clear()
            due_ns = self._due_ns()
            if due_ns > self._timing.now_ns():
                await self._wait_until(due_ns)
            elif self._is_joined():
                await self._check_silence()
            else:
                await self._read_gap()

    def _is_joined(self) -> bool:
        subscription = self._coverage.subscription
        return self.gap is None and subscription is not None and subscription.joined

    def _due_ns(self) -> int:
        """Return when to read next: a gap at once, and again after the overlap; a silence after some time."""
        if self.gap is not None:
            return 0
        if self._is_joined():
            return self._read_at_ns + self._silence_ns
        if self._coverage.subscription not in (None, self._read_for):
            return 0 if self._read_for is None else self._read_at_ns + int(SPACING_SECONDS * NANOSECONDS)
        return self._read_at_ns + self._overlap_ns

    async def _wait_until(self, due_ns: int) -> None:
        seconds = (due_ns - self._timing.now_ns()) / NANOSECONDS
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._connected.wait()),
            asyncio.ensure_future(self._timing.wait(seconds)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancelled(*waits)

    async def _read_gap(self) -> None:
        if self.gap is None:
            self._read_for, self._read_at_ns = self._coverage.subscription, self._timing.now_ns()
            start_ns = self._coverage.position_ns - self._overlap_ns
            self.gap = self._pages.window(start_ns, self._read_at_ns)
        first = self.gap
        begun_anew = False
        while self.gap is not None:
            try:
                capture, after = await self._page(self._pages, self.gap)
            except RequestRefusedError:
                if self.gap.page_token is None or begun_anew:
                    raise
                # The page token has expired; its window must still be read.
                begun_anew, self.gap = True, self._pages.window(self.gap.start_ns, self.gap.end_ns)
                continue
            await self._publish(capture, self.gap.end_ns)
            self.gap = None if after.page_token is None else after
        self._coverage.read_to(first.end_ns)
        self._observer.gap_closed("alpaca", first.start_ns + self._overlap_ns, first.end_ns)

    async def _check_silence(self) -> None:
        """Ask REST about symbols that the stream is silent about; a quiet market is no fault."""
        self._read_at_ns = now_ns = self._timing.now_ns()
        subscription = self._coverage.subscription
        if subscription is None:
            return
        silent = self._coverage.silent(subscription.published_to_ns - self._silence_ns)
        if not silent:
            return
        pages = self._history.pages_of(silent)
        place: CapturePosition | None = pages.window(self._coverage.check_from_ns(silent), now_ns)
        while place is not None:
            capture, after = await self._page(pages, place)
            await self._publish(capture, now_ns)
            if self._coverage.subscription is not subscription:
                return
            missed = self._coverage.missed(capture.trades)
            if missed:
                self._coverage.doubt()
                names = ", ".join(sorted(missed)[:10])
                self._on_silence(SilentConnectionError(f"alpaca's stream leaves out trades of {names}"))
                return
            place = None if after.page_token is None else after
        self._coverage.checked(silent, now_ns)

    async def _page(self, pages: TradePages, place: CapturePosition) -> tuple[Capture, CapturePosition]:
        return await self._timing.until_done(lambda: self._history.read(pages, place), self._note)

    async def _publish(self, capture: Capture, end_ns: int) -> None:
        capture = Capture(capture.trades, self._seen.unseen(capture.unreadable))
        if capture.trades or capture.unreadable:
            await self._timing.until_done(lambda: self._history.publish(capture), self._note)
            self._seen.handed_over(capture.unreadable, end_ns)
            # No window begins more than an overlap before the position.
            self._seen.forget_before(self._coverage.position_ns - 2 * self._overlap_ns)

    def _note(self, error: RetryableError) -> None:
        # The API's client has counted its own already.
        if not isinstance(error, ProviderRetryableError):
            self._observer.error("alpaca", "gap", str(error))
