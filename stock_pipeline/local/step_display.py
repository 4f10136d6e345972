"""Steps on a terminal: which is under way, how far it is, how long it took. Their figures are computed elsewhere."""

import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Display(Protocol):
    """Receiver of a work's progress."""

    def started(self, step: str, total: int | None = None) -> None: ...
    def advanced(self, amount: int) -> None: ...
    def note(self, text: str) -> None: ...
    def finished(self, result: str) -> None: ...


class ConsoleDisplay:
    """A line for each finished step. On a terminal a spinner and a bar show the one under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._step = ""
        self._began = 0.0

    def __enter__(self) -> "ConsoleDisplay":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, step: str, total: int | None = None) -> None:
        self._step, self._began = step, time.monotonic()
        self._task = self._progress.add_task(step, total=total)

    def advanced(self, amount: int) -> None:
        self._progress.advance(self._task, amount)

    def note(self, text: str) -> None:
        """Tell what happens in the step; only where somebody watches."""
        if self._console.is_terminal:
            self._console.print(f"      {text}", style="dim", highlight=False, soft_wrap=True)

    def finished(self, result: str) -> None:
        self._progress.remove_task(self._task)
        seconds = time.monotonic() - self._began
        line = f"  ✓ {self._step:<42} {seconds:5.1f} s"
        # below it where the terminal is too narrow
        between = "  " if len(line) + 2 + len(result) <= self._console.width else "\n      "
        self._console.print(f"{line}{between}{result}", highlight=False, soft_wrap=True)
