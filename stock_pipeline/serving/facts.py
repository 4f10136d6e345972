"""Facts beside prices: how the pipeline does, and corporate actions. They cost many reads, so they are kept a while."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from stock_pipeline.serving.shapes import Action, Pipeline

T = TypeVar("T")


@dataclass
class Kept(Generic[T]):
    """An answer, asked for again once it is old. One asks, and who comes meanwhile waits for that answer."""

    ask: Callable[[], T]
    seconds: float
    now: Callable[[], float]
    _answer: tuple[float, T] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self) -> T:
        with self._lock:
            if self._answer is None or self.now() - self._answer[0] >= self.seconds:
                self._answer = self.now(), self.ask()
            return self._answer[1]


@dataclass(frozen=True)
class Facts:
    """actions: by symbol, oldest first."""

    pipeline: Kept[Pipeline]
    actions: Kept[Mapping[str, list[Action]]]
