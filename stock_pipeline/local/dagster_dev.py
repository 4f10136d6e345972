"""`dagster dev` for the local stack: webserver, daemon and code location, with an instance of their own."""

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

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"
SERVING = "Serving dagster-webserver on"
LISTENING_SECONDS = 0.2


def new_home(folder: Path) -> Path:
    """An instance without a past: what an earlier one remembers is of a lake that is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "dagster.yaml", folder)
    return folder


def free_port(wanted: int) -> int:
    """The wanted port, or any other if that one is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StockPipelineError(f"no port of {LOOPBACK} is free for Dagster's webserver; end something that listens")


@contextmanager
def dagster_dev(environ: Mapping[str, str], home: Path, port: int, log: Path) -> Iterator[str]:
    """The webserver's address once it serves, for as long as the context lasts. What Dagster prints goes to `log`."""
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", os.fspath(ROOT / "workspace.yaml")]
    log.parent.mkdir(parents=True, exist_ok=True)
    address = f"http://{LOOPBACK}:{port}"
    with process_group(
        [*command, "-h", LOOPBACK, "-p", str(port)], {**environ, "DAGSTER_HOME": os.fspath(home)}, ROOT
    ) as process:
        serving = threading.Event()
        assert process.stdout is not None
        reader = threading.Thread(target=_copy, args=(process.stdout, log, serving), daemon=True)
        reader.start()
        serving.wait()
        if process.poll() is not None or SERVING not in log.read_text(encoding="utf-8"):
            raise StockPipelineError(f"Dagster did not start; {log} says why")
        _wait_for_answer(port, serving=lambda: process.poll() is None, log=log)
        yield address
    reader.join()


def _wait_for_answer(port: int, serving: Callable[[], bool], log: Path) -> None:
    """The webserver says that it serves shortly before it listens."""
    while serving():
        try:
            socket.create_connection((LOOPBACK, port), timeout=5).close()
        except OSError:
            time.sleep(LISTENING_SECONDS)
        else:
            return
    raise StockPipelineError(f"Dagster did not start; {log} says why")


def _copy(lines: IO[str], log: Path, serving: threading.Event) -> None:
    """Until the process ends; `serving` is set then too, so that nobody waits for ever."""
    with lines, log.open("w", encoding="utf-8", buffering=1) as file:
        for line in lines:
            file.write(line)
            if SERVING in line:
                serving.set()
    serving.set()
