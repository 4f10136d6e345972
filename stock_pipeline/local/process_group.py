"""A command and all that it starts, in a process group that ends with the caller.

Run as a module it is the guard: it starts the command, and ends the group once its own standard input closes. That
happens even if the caller is killed. SIGINT comes first, SIGKILL after a while.
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
"""Time between SIGINT and SIGKILL. Dagster's daemon needs some seconds to shut down."""


@contextmanager
def process_group(command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> "Iterator[subprocess.Popen[str]]":
    """Run a command for as long as the context lasts. The caller reads and closes its `stdout`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stock_pipeline.local.process_group", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(environ),
        cwd=cwd,
        # its own session: Ctrl-C reaches only the parent, which then stops it in order
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
    """Run the command, then end with the group that this process leads. Never returns."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # the group's own stop must not end the guard before the others
        signal.signal(number, lambda _number, _frame: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    # a command that ends by itself ends its group
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
