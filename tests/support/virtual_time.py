"""An event loop in which time passes only while everybody waits, so that hours take milliseconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

START_NS = 1_767_366_000 * 10**9
"""2026-01-02T15:00:00Z, half an hour after the opening."""


class _NobodyElse(selectors.SelectSelector):
    """A selector that jumps over the wait, because nothing outside of the loop can end it."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for something that never comes"
            self.elapsed += max(timeout, 0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._nobody_else = _NobodyElse()
        super().__init__(self._nobody_else)

    def time(self) -> float:
        return self._nobody_else.elapsed


def now_ns() -> int:
    """The clock of a simulation."""
    return START_NS + round(asyncio.get_running_loop().time() * 10**9)


def simulate(scenario: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)
