"""`dagster dev` for the local stack: webserver, daemon and code location, with their own instance."""

import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stock_pipeline.errors import StockPipelineError
from stock_pipeline.local.process_group import process_group
from stock_pipeline.project_files import PROJECT

LOOPBACK = "127.0.0.1"
SERVING = "Serving dagster-webserver on"
LISTENING_SECONDS = 0.2


def new_home(folder: Path) -> Path:
    """Create an empty instance, because an earlier one remembers a lake that is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "dagster.yaml", folder)
    return folder


def free_port(wanted: int) -> int:
    """Return the wanted port, or another one if it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StockPipelineError(f"no port of {LOOPBACK} is free for Dagster's webserver: end a process that listens")


@contextmanager
def dagster_dev(environ: Mapping[str, str], home: Path, port: int, log: Path) -> Iterator[str]:
    """Run Dagster, and yield the webserver's address once it serves. Dagster's output goes to `log`."""
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", os.fspath(PROJECT / "workspace.yaml")]
    log.parent.mkdir(parents=True, exist_ok=True)
    address = f"http://{LOOPBACK}:{port}"
    with process_group(
        [*command, "-h", LOOPBACK, "-p", str(port)], {**environ, "DAGSTER_HOME": os.fspath(home)}, Path.cwd()
    ) as process:
        serving = threading.Event()
        assert process.stdout is not None
        reader = threading.Thread(target=_copy, args=(process.stdout, log, serving), daemon=True)
        reader.start()
        serving.wait()
        if process.poll() is not None or SERVING not in log.read_text(encoding="utf-8"):
            raise StockPipelineError(f"Dagster did not start: {log} says why")
        _wait_for_answer(port, serving=lambda: process.poll() is None, log=log)
        yield address
    reader.join()


def _wait_for_answer(port: int, serving: Callable[[], bool], log: Path) -> None:
    """Wait until the webserver listens, because it says that it serves shortly before."""
    while serving():
        try:
            socket.create_connection((LOOPBACK, port), timeout=5).close()
        except OSError:
            time.sleep(LISTENING_SECONDS)
        else:
            return
    raise StockPipelineError(f"Dagster did not start: {log} says why")


def _copy(lines: IO[str], log: Path, serving: threading.Event) -> None:
    """Copy lines until the process ends. `serving` is set then at the latest, because a thread waits for it."""
    with lines, log.open("w", encoding="utf-8", buffering=1) as file:
        for line in lines:
            file.write(line)
            if SERVING in line:
                serving.set()
    serving.set()
