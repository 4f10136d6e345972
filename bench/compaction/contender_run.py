"""One run of a contender in a process of its own, because memory is measured a process.

What is run belongs to `contenders`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple


class ContenderFailed(Exception):
    """A contender ended with an error, or was killed."""


class Measure(NamedTuple):
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def run_contender(name: str, day: Path, target: Path) -> Measure:
    # compiling the libraries anew each time would be most of a small day
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "bench.compaction.contenders", name, str(day), str(target)]
    began = time.monotonic()
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        peak = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ContenderFailed(f"{name} ended with exit code {process.returncode}")
    return Measure(usage.ru_utime + usage.ru_stime, time.monotonic() - began, int(peak) / 1024)
