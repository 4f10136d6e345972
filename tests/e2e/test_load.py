"""A small load as a user runs it: every kind of fault happens, and nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stock_pipeline.local.load.faults import Fault
from tests.support.processes import assert_ctrl_c_stops_everything

COMMAND = Path(sys.executable).with_name("stock-pipeline")

pytestmark = [pytest.mark.xdist_group("load"), pytest.mark.system]


def environment() -> dict[str, str]:
    # no AWS_…: the load must not use anybody's account
    return {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}


def load(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "load", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_twenty_thousand_trades_survive_every_kind_of_fault(tmp_path: Path) -> None:
    done = load(tmp_path, "--trades", 20_000, "--symbols", 20, "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ balances" in done.stdout
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["disagreements"] == []
    assert set(figures["faults"]) == set(Fault)
    accounting = figures["accounting"]
    assert accounting["simulated"] > figures["trades"] == 20_000
    assert accounting["in_lake"] == figures["lake"]["rows"] > 20_000
    for name in ("put_twice", "redriven", "duplicates", "rejected", "given_up"):
        assert accounting[name] > 0, name
    assert figures["lake"]["rows_written"] > figures["lake"]["rows_of_stream"]
    assert figures["trades_per_second"] > 0
    assert figures["peak_mb"] > 0
    assert figures["services_peak_mb"] > 0


def test_without_faults_every_trade_is_in_the_lake_once(tmp_path: Path) -> None:
    done = load(tmp_path, "--trades", 3_000, "--symbols", 5, "--seed", 2, "--no-faults", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["faults"] == {}
    assert figures["accounting"] == {
        "simulated": 3_000,
        "put_twice": 0,
        "redriven": 0,
        "in_lake": 3_000,
        "duplicates": 0,
        "rejected": 0,
        "given_up": 0,
        "balances": True,
    }


def test_an_impossible_load_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = load(tmp_path, "--trades", 10, "--symbols", 20)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("stock-pipeline: 10 trades of 20 symbols can't be simulated")


def test_ctrl_c_stops_everything_the_load_started(tmp_path: Path) -> None:
    command = [str(COMMAND), "load", "--trades", "500000"]
    assert_ctrl_c_stops_everything(command, tmp_path, environment(), after="Start the local stack")
