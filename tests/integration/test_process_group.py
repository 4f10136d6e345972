"""Nothing that a command started is left running, however its starter ends."""

import subprocess
import sys
from pathlib import Path

import psutil

from stock_pipeline.local.process_group import process_group
from tests.support.processes import read_line

STUBBORN = """
import os, signal, subprocess, sys
if "child" not in sys.argv:
    subprocess.Popen([sys.executable, __file__, "child"])
print(os.getpid(), flush=True)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pause()
"""
"""Starts another of its kind; neither ends when asked to."""

STARTER = """
import os, sys
from pathlib import Path
from stock_pipeline.local import process_group
process_group.PATIENCE_SECONDS = 0.2
with process_group.process_group([sys.executable, sys.argv[1]], os.environ, Path.cwd()) as process:
    for _ in range(2):
        print(process.stdout.readline().strip(), flush=True)
    sys.stdin.read()
"""


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not alive


def test_a_starter_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    started = [psutil.Process(int(read_line(starter))) for _ in range(2)]
    started += psutil.Process(starter.pid).children(recursive=True)
    assert len(set(started)) == 3  # the guard, the command, and what that started
    starter.kill()
    starter.communicate()
    assert gone(started)


def test_a_command_that_ends_takes_along_what_it_started(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    child = "import time; time.sleep(3600)"
    script.write_text(
        f"import subprocess, sys\nprint(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True)\n"
    )
    with process_group([sys.executable, str(script)], {"PATH": "/usr/bin:/bin"}, tmp_path) as process:
        with process.stdout:
            left_behind = psutil.Process(int(read_line(process)))
        assert gone([left_behind])


def test_the_end_of_the_context_ends_the_group(tmp_path: Path) -> None:
    script = tmp_path / "patient.py"
    script.write_text("import signal\nprint('ready', flush=True)\nsignal.pause()\n")
    with process_group([sys.executable, str(script)], {"PATH": "/usr/bin:/bin"}, tmp_path) as process:
        with process.stdout:
            assert read_line(process) == "ready"
        started = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        assert len(started) == 2
    assert gone(started)
