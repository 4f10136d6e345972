"""Clock, wait and chance of the stream, which tests replace, and trying again with them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.client.api_client import BACK_OFF

Result = TypeVar("Result")


@dataclass(frozen=True)
class Timing:
    """now_ns: nanoseconds since 1970 UTC. wait: sleeps for seconds."""

    now_ns: Callable[[], int]
    wait: Callable[[float], Awaitable[None]]
    jitter: random.Random

    async def back_off(self, failures: int) -> None:
        """Pause after the `failures`-th failure in a row."""
        await self.wait(BACK_OFF.seconds(failures, self.jitter.random))

    async def until_done(
        self, step: Callable[[], Awaitable[Result]], on_failure: Callable[[RetryableError], None]
    ) -> Result:
        """Return what `step` returns, however often it must be tried."""
        failures = 0
        while True:
            try:
                return await step()
            except RetryableError as error:
                failures += 1
                on_failure(error)
                await self.back_off(failures)

    async def within(self, seconds: float, step: Awaitable[Result]) -> Result:
        """Return what `step` returns, or raise `TimeoutError` and cancel it."""
        task, limit = asyncio.ensure_future(step), asyncio.ensure_future(self.wait(seconds))
        try:
            await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise TimeoutError
            return task.result()
        finally:
            await cancelled(task, limit)


async def cancelled(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel the tasks, and return once they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
