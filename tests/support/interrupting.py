"""Ctrl-C in a terminal, and what must be true after it."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


def assert_ctrl_c_stops_everything(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], *, after: str
) -> None:
    """Interrupt the command once it has printed `after`: it ends with 130, in order, and leaves no process behind."""
    running = subprocess.Popen(
        command, cwd=folder, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    for line in running.stdout:
        if after in line:
            break
    children = psutil.Process(running.pid).children(recursive=True)
    assert children
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
