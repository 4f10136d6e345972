"""A command with all that it starts, in a process group of its own that ends with whoever asked for it.

Run as a module it is the guard: it starts the command and waits for its own standard input to close, which happens too
when the asker is killed. Then it asks the whole group to stop, and after a while makes it.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 15.0
"""How long the group has after it was asked to stop. Dagster's daemon needs some seconds to close its books."""


@contextmanager
def process_group(command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> "Iterator[subprocess.Popen[str]]":
    """Run a command for as long as the context lasts. What it prints is to be read from `stdout`, which
    is the caller's to close."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stock_pipeline.local.process_group", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(environ),
        cwd=cwd,
        # its own session: Ctrl-C reaches whoever started it, who then stops it in order
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=PATIENCE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def guard(command: Sequence[str]) -> None:
    """Never returns: it ends with its group, of which it is the leader."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # the group's own stop must not end the guard before the others
        signal.signal(number, lambda _number, _frame: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    # a command that ends by itself takes its group along
    threading.Thread(target=_end_after, args=(child,), daemon=True).start()
    sys.stdin.read()
    _end(child)


def _end_after(child: "subprocess.Popen[bytes]") -> None:
    child.wait()
    _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    group = os.getpgrp()
    os.killpg(group, signal.SIGINT)
    try:
        child.wait(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.argv[1:])
