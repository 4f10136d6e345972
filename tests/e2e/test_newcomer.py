"""A newcomer's first hour, with the wheel alone and an empty home: the lines of README.md, then `up` until Ctrl-C."""

import json
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from tests.support.installed import ROOT, Installed
from tests.support.processes import read_until

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.system]

AS_UVX = "uvx --from '.[local]' "
LOOKS = 200
"""Events of the stream that may come before a price moves, heartbeats included."""


@dataclass(frozen=True)
class Newcomer:
    """Somebody in an empty folder, with nothing in the environment that could be of help."""

    folder: Path
    environment: dict[str, str]

    def types(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            line.removeprefix(AS_UVX),
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def goes_on_typing_beside(self, line: str) -> "Iterator[subprocess.Popen[str]]":
        process = subprocess.Popen(
            line.split(),
            cwd=self.folder,
            env=self.environment,
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


@pytest.fixture
def newcomer(installed: Installed, tmp_path: Path) -> Newcomer:
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    path = f"{installed.command.parent}:/usr/bin:/bin"
    return Newcomer(folder, {"PATH": path, "HOME": str(home), "PYTHONUNBUFFERED": "1"})


def lines_of_the_readme() -> list[str]:
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if re.match(r"(uvx .*)?stock-pipeline ", line)]


def test_every_line_of_the_readme_works_in_its_order(newcomer: Newcomer) -> None:
    demo, *others = lines_of_the_readme()
    assert demo == f"{AS_UVX}stock-pipeline demo"
    done = newcomer.types(demo)
    assert done.returncode == 0, done.stdout + done.stderr
    latest, query, up = re.findall(r"^  (\S*stock-pipeline .*)$", done.stdout, re.MULTILINE)
    assert up.endswith("stock-pipeline up")
    shown = {line: newcomer.types(line) for line in (latest, query, *others)}
    assert {line: each.returncode for line, each in shown.items()} == dict.fromkeys(shown, 0)
    assert "XXX     taq   01-03 00:58:30  157.80" in shown[latest].stdout
    assert "157.040000  5108362.000000" in shown[query].stdout
    assert others == ['stock-pipeline query "SELECT * FROM daily_bars"', "stock-pipeline latest"]
    assert "157.040000" in shown[others[0]].stdout
    assert shown[others[1]].stdout == shown[latest].stdout
    assert [path.name for path in newcomer.folder.iterdir()] == [".stock-pipeline"]
    assert list(Path(newcomer.environment["HOME"]).rglob("*")) == []


def test_up_shows_moving_prices_and_one_ctrl_c_leaves_nothing_running(newcomer: Newcomer) -> None:
    command = "stock-pipeline up --port 0 --page-port 0 --trades-per-second 50"
    with newcomer.goes_on_typing_beside(command) as process:
        addresses = read_until(process, "Ctrl-C ends it")
        assert "http://127.0.0.1:" in addresses.split("Dagster")[-1]
        page = re.search(r"Prices +(http\S+)", addresses)
        assert page
        read_until(process, "records processed")
        assert_prices_move(page[1])
        second = newcomer.types("stock-pipeline up")
        assert second.returncode == 1
        assert f"already runs in this folder (process {process.pid}, http://127.0.0.1:" in second.stderr
        shown = newcomer.types("stock-pipeline status")
        # a new lake has nothing to be late with
        assert shown.returncode == 0, shown.stdout + shown.stderr
        for title in ("stream", "dead letters", "rejected today", "last published", "to compact", "broken", "stale"):
            assert f"\n  {title} " in shown.stdout, shown.stdout + shown.stderr
        assert "AAPL" in newcomer.types("stock-pipeline latest").stdout
        count = 'stock-pipeline query "SELECT count(*) AS n FROM daily_bars" --format csv'
        while "n\n9\n" not in newcomer.types(count).stdout:
            # up tells every ten seconds that it lives; bars are there within two minutes, or five on a busy machine
            read_until(process, "lines published")
        assert newcomer.types("stock-pipeline status").returncode == 0
        started = psutil.Process(process.pid).children(recursive=True)
        assert any("dagster" in " ".join(one.cmdline()) for one in started)
        assert any("moto" in " ".join(one.cmdline()) for one in started)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        assert rest.endswith("stopped, and nothing is left running\n")
        _, alive = psutil.wait_procs(started, timeout=30)
        assert alive == []
    shown = newcomer.types("stock-pipeline status")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("stock-pipeline: nothing runs here")
    assert list(Path(newcomer.environment["HOME"]).rglob("*")) == []


def assert_prices_move(address: str) -> None:
    """Look at the page as a browser gets it, and follow its stream until a price is another one."""
    with urlopen(address, timeout=30) as answer:
        html = answer.read().decode()
    assert 'id="main"' in html
    assert "<title" in html
    with urlopen(f"{address}/api/v1/latest", timeout=30) as answer:
        before = {quote["symbol"]: quote["price"] for quote in json.load(answer)["quotes"]}
    assert before
    with urlopen(f"{address}/api/v1/stream", timeout=60) as stream:
        for _ in range(LOOKS):
            event = next_event(stream)
            for quote in event.get("quotes", ()):
                if before.get(quote["symbol"]) not in (None, quote["price"]):
                    return
    pytest.fail(f"no price moved within {LOOKS} events")


def next_event(stream: Iterable[bytes]) -> dict[str, Any]:
    """Return the data of the next server-sent event; nothing of a heartbeat."""
    data = b""
    for line in stream:
        if not line.strip():
            break
        if line.startswith(b"data:"):
            data += line.removeprefix(b"data:")
    return json.loads(data) if data.strip() else {}
