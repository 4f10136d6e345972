"""The pipeline without end: it starts, says how it is doing, and one Ctrl-C leaves nothing running."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from tests.support.processes import read_until

COMMAND = Path(sys.executable).with_name("stock-pipeline")

pytestmark = [pytest.mark.xdist_group("dagster dev"), pytest.mark.system]


def environment() -> dict[str, str]:
    # no AWS_…, no APCA_…: it must not use anybody's account
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "APCA_", "DAGSTER_"))}
    return kept | {"PYTHONUNBUFFERED": "1"}


@contextmanager
def up(folder: Path) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [str(COMMAND), "up", "--port", "0", "--page-port", "0", "--trades-per-second", "50"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # a terminal's Ctrl-C reaches a whole group: this one is its own
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def typed(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Type a command in the second terminal."""
    command = [str(COMMAND), *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_up_serves_dagster_processes_trades_and_ends_clean(tmp_path: Path) -> None:
    with up(tmp_path) as process:
        addresses = read_until(process, "Ctrl-C ends it")
        assert "http://127.0.0.1:" in addresses.split("Dagster")[-1]
        read_until(process, "records processed")
        page = re.search(r"Prices +(http\S+)", addresses)
        assert page
        with urlopen(f"{page[1]}/api/v1/latest", timeout=30) as answer:
            assert json.load(answer)["quotes"]
        second = typed(tmp_path, "up")
        assert second.returncode == 1
        assert f"already runs in this folder (process {process.pid}, http://127.0.0.1:" in second.stderr
        shown = typed(tmp_path, "status")
        # a new lake has nothing to be late with
        assert shown.returncode == 0, shown.stdout + shown.stderr
        for title in ("stream", "dead letters", "rejected today", "last published", "to compact", "broken", "stale"):
            assert f"\n  {title} " in shown.stdout, shown.stdout + shown.stderr
        assert "AAPL" in typed(tmp_path, "latest").stdout
        bars = typed(tmp_path, "query", "SELECT count(*) AS n FROM daily_bars", "--format", "csv")
        while "n\n9\n" not in bars.stdout:
            # up tells every ten seconds that it lives; bars are there within two minutes, or five on a busy machine
            read_until(process, "lines published")
            bars = typed(tmp_path, "query", "SELECT count(*) AS n FROM daily_bars", "--format", "csv")
        assert typed(tmp_path, "status").returncode == 0
        started = psutil.Process(process.pid).children(recursive=True)
        assert any("dagster" in " ".join(one.cmdline()) for one in started)
        assert any("moto" in " ".join(one.cmdline()) for one in started)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        assert rest.endswith("stopped, and nothing is left running\n")
        _, alive = psutil.wait_procs(started, timeout=30)
        assert alive == []
    shown = typed(tmp_path, "status")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("stock-pipeline: nothing runs here")
