"""A thread for the blocking calls of one kind, so that no other kind waits for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")


class WorkerThread:
    """One thread. Calls take turns."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, call: Callable[..., Result], *arguments: Any) -> Result:
        """Return what the call returns in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(call, *arguments))

    def close(self) -> None:
        """Return once the call under way has ended; those that wait are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)
