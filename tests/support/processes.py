"""Commands that run beside the test: what they say, and Ctrl-C."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """What the process said up to the line with this text."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    complaint = process.stderr.read() if process.stderr else ""
    raise AssertionError(f"it ended with {process.wait()} before it said {text!r}: {said}{complaint}")


def heed_ctrl_c() -> None:
    """Heed Ctrl-C, although a script may have started the tests in the background, where it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def assert_ctrl_c_stops_everything(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], *, after: str
) -> None:
    """Interrupt the command once it has printed `after`: it ends with 130, in order, and leaves no process behind."""
    running = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # between fork and exec it takes no lock
    )
    read_until(running, after)
    children = psutil.Process(running.pid).children(recursive=True)
    assert children
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors, errors
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == [], [one.cmdline() for one in alive]
