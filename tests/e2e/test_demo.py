"""The whole pipeline as a user runs it: `stock-pipeline demo`, and the pages that show what it prints."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from stock_pipeline.providers.files.sample_session import SAMPLE_TRADES
from tests.support.installed import Installed
from tests.support.processes import assert_ctrl_c_stops_everything

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("stock-pipeline")

pytestmark = pytest.mark.xdist_group("demo")


def environment() -> dict[str, str]:
    # the demo must not use anybody's account, endpoint or proxy
    elsewhere = "http://127.0.0.1:9"
    strays = {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL_S3": elsewhere, "HTTP_PROXY": elsewhere, "DO_NOT_TRACK": "1"}
    return {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | strays


def demo(folder: Path, *arguments: object, command: Path = COMMAND) -> subprocess.CompletedProcess[str]:
    command_line = [str(command), "demo", *map(str, arguments)]
    return subprocess.run(command_line, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def without_measures(output: str) -> list[str]:
    """The lines of the demo's output without ports, seconds and trailing blanks."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", output)
    text = re.sub(r" +\d+\.\d s  ", " SECONDS ", text)
    text = re.sub(r"\S*/stock-pipeline ", ".venv/bin/stock-pipeline ", text)
    return [line.rstrip() for line in text.strip().splitlines()]


def shown_in(page: str) -> list[str]:
    """Return the lines of the demo's output in a page."""
    shown = re.search(r"<!-- demo -->\n```\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert shown is not None
    return without_measures(shown.group(1))


def test_the_demo_agrees_with_the_published_bar_and_the_readme(tmp_path: Path) -> None:
    done = demo(tmp_path, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stdout + done.stderr

    figures = json.loads((tmp_path / "out.json").read_text())
    accounting = figures["accounting"]
    assert accounting["balances"]
    assert accounting["rejected"] == 6
    assert accounting["duplicates"] > 0
    (bar,) = [bar for bar in figures["daily_bars"] if bar["symbol"] == "XXX"]
    assert [bar[name] for name in ("open", "high", "low", "close", "volume")] == [
        158.30,
        159.39,
        156.03,
        157.04,
        5108362,
    ]
    assert len(figures["state"]) == len(figures["daily_bars"]) == 10

    printed = [line for line in without_measures(done.stdout) if "figures written to" not in line]
    assert shown_in("docs/demo.md") == printed
    read_what_was_kept(tmp_path)
    execute_the_notebook(tmp_path)
    following = iter(printed)
    missing = [line for line in shown_in("README.md") if line not in following]
    assert missing == []


def read_what_was_kept(folder: Path) -> None:
    kept = folder / ".stock-pipeline" / "demo"
    assert not kept.with_name("demo.new").exists()
    # without the services and their extension, as in DuckDB's own shell
    with duckdb.connect(str(kept / "stock_market.duckdb"), read_only=True) as shell:
        assert shell.execute("SELECT count(*) FROM stock_market_data WHERE symbol = 'XXX'").fetchone() == (39_464,)
    program = (
        "from datetime import date; from stock_pipeline import read; day = date(2018, 1, 2); "
        "print(read.trades('XXX', day, date(2018, 1, 4)).num_rows, read.bars('XXX', day, size='1m').num_rows, "
        "read.bars('XXX', day, size='1h', into='polars').shape, read.bars('XXX', day, into='pandas').shape, "
        "read.bars('XXX', day, adjusted='splits').equals(read.bars('XXX', day)), "
        "read.latest('XXX').num_rows, read.trades('XXX', date(2030, 1, 1)).schema == read.trades('XXX', day).schema)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert shown.stdout == "39464 490 (15, 11) (1, 10) True 1 True\n", shown.stderr


def execute_the_notebook(folder: Path) -> None:
    """Execute every cell in order, in one namespace, as a kernel does. Its own assertions judge the numbers."""
    cells = json.loads((ROOT / "examples" / "explore.ipynb").read_text())["cells"]
    program = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not any(cell.get("outputs") for cell in cells)


@pytest.mark.system
def test_a_session_of_ones_own_runs_without_simulated_symbols(installed: Installed, tmp_path: Path) -> None:
    """Two symbols, one with a cancelled trade, in a file of the documented schema, and without a checkout."""
    sample = pl.read_parquet(SAMPLE_TRADES)
    first = sample.filter(pl.col("sequence").is_between(100, 2_100))
    cancelled = first.with_columns(
        symbol=pl.lit("YYY"),
        correction=pl.when(pl.col("sequence") == 2_100).then(pl.lit("8")).otherwise(pl.lit("0")),
    )
    session = tmp_path / "session.parquet"
    pl.concat([first, cancelled]).write_parquet(session)

    done = demo(tmp_path, "--trades", session, "--json", "out.json", command=installed.command)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["accounting"] == {
        "published": 2 * first.height + 6,
        "in_lake": 2 * first.height,
        "duplicates": 0,
        "rejected": 6,
        "rejected_by_reason": {"not_json": 1, "schema": 2, "value": 3},
        "balances": True,
    }
    ours, theirs = figures["daily_bars"]
    newest = first.row(-1, named=True)
    assert (ours["symbol"], theirs["symbol"]) == ("XXX", "YYY")
    assert ours["volume"] - theirs["volume"] == newest["size"]
    assert ours["trade_count"] - theirs["trade_count"] == 1
    before = first.row(-2, named=True)
    assert [(s["symbol"], s["price"]) for s in figures["state"]] == [("XXX", newest["price"]), ("YYY", before["price"])]


def test_a_file_that_is_no_session_is_refused_in_one_sentence(tmp_path: Path) -> None:
    nothing = tmp_path / "trades.parquet"
    pl.DataFrame({"symbol": ["A"], "price": [1.0]}).write_parquet(nothing)
    done = demo(tmp_path, "--trades", nothing)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "columns that no format has: symbol, price" in done.stderr


def test_ctrl_c_stops_everything_the_demo_started(tmp_path: Path) -> None:
    command = [str(COMMAND), "demo"]
    assert_ctrl_c_stops_everything(command, tmp_path, environment(), after="Start the local stack")
