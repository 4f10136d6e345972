"""One run of a kind in a folder, because a second would delete the first's files while it works."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stock_pipeline.errors import PermanentError


class Held:
    """The folder's lock; others read in its file who holds it."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def tell(self, address: str = "") -> None:
        """Say where the holder is reached."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"process {os.getpid()}{address and f', {address}'}")
        self._file.flush()


@contextmanager
def only_one(name: str, folder: Path) -> Iterator[Held]:
    """Hold the lock of `name` in a folder, which is made; raise `PermanentError` if another process does.

    The kernel lets go of it when the process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise PermanentError(
                f"stock-pipeline {name} already runs in this folder ({file.read()}): end it with Ctrl-C, or run the "
                "second one in another folder"
            ) from None
        held = Held(file)
        held.tell()
        yield held
