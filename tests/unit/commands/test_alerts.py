"""`alerts check` says what is wrong, and what the rules would have told."""

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from stock_pipeline.cli import main
from stock_pipeline.domain.lake_layout import raw_partition_prefix
from stock_pipeline.place import DEMO_MODELS
from stock_pipeline.project_files import KEPT_LAKE
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.support.trades import SESSION, trade, trade_on

RULES = """
[[alert]]
name = "high"
symbol = ["ABC", "TYPO"]
above = 11.5

[[alert]]
name = "later"
symbol = "ABC"
above = 10
first = 2018-01-03
"""


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "alerts.toml"
    path.write_text(RULES)
    return str(path)


def session_file(folder: Path, *prices: str) -> str:
    rows = [
        replace(trade(number), price=Decimal(price), event_time_ns=trade(60 * number).event_time_ns)
        for number, price in enumerate(prices)
    ]
    path = folder / "session.parquet"
    path.write_bytes(parquet_bytes(table_of_trades(rows)))
    return str(path)


def test_a_session_is_replayed_and_what_is_missing_in_it_is_named(
    rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["alerts", "check", rules, "--replay", session_file(tmp_path, "11", "12", "11", "11.5")]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  high: ABC, TYPO, any feed",
        "    above 11.50, again after 11.4425",
        "  later: ABC, any feed, first session 2018-01-03",
        "    above 10.00, again after 9.95",
        "in the session 2018-01-02, of 1 symbols, they would have told 2",
        "  ABC (sim) 12.00, at or above 11.50, 2018-01-02 12:01 in New York (high)",
        "  ABC (sim) 11.50, at or above 11.50, 2018-01-02 12:03 in New York (high)",
        "  without a trade in it: TYPO; are they spelt so?",
        "  not watched in it: later, which has other sessions",
    ]


def test_a_rule_that_cannot_be_used_ends_it_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text('[[alert]]\nname = "high"\nsymbol = "ABC"\nabove = "ten"\n')
    for command in (["alerts", "check"], ["serve", "--alerts"], ["up", "--alerts"]):
        assert main([*command, str(path)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"stock-pipeline: {path}: alert 1 (high): above takes a number above 0"), said


@pytest.mark.parametrize("kind", ["no file", "no Parquet", "two sessions", "empty", "other columns"])
def test_what_is_no_session_is_one_sentence(
    rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "session.parquet"
    if kind == "no Parquet":
        path.write_bytes(b"nothing")
    elif kind == "two sessions":
        days = [trade(1), trade_on(SESSION.replace(day=3), 2)]
        path.write_bytes(parquet_bytes(table_of_trades(days)))
    elif kind == "empty":
        path.write_bytes(parquet_bytes(table_of_trades([])))
    elif kind == "other columns":
        path.write_bytes(parquet_bytes(table_of_trades([trade(1)]).drop_columns(["session_date"])))
    assert main(["alerts", "check", rules, "--replay", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"stock-pipeline: {path}")
    assert said.count("\n") == 1


def test_a_session_that_the_demo_left_is_tried(
    rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {})
    DEMO_MODELS.parent.mkdir(parents=True)
    with duckdb.connect(str(DEMO_MODELS)) as models:
        partition = f"{SESSION.year} AS year, {SESSION.month} AS month, {SESSION.day - 1} AS day"
        row = f"'ABC' AS symbol, 'sim' AS feed, 11.5 AS close, DATE '{SESSION}' - 1 AS session_date"
        models.execute(f"CREATE TABLE daily_bars AS SELECT {row}, {partition}")
    kept = DEMO_MODELS.parent / KEPT_LAKE / raw_partition_prefix(SESSION)
    kept.mkdir(parents=True)
    session_file(kept, "12", "11", "11.5")
    for place in ([], ["--env", "demo"]):
        assert main(["alerts", "check", rules, "--session", SESSION.isoformat(), *place]) == 0
        # at the first minute's price it was yesterday, too
        assert capsys.readouterr().out.splitlines()[-4:-2] == [
            "in the session 2018-01-02, of 1 symbols, they would have told 1",
            "  ABC (sim) 11.50, at or above 11.50, 2018-01-02 12:02 in New York (high)",
        ]
    assert main(["alerts", "check", rules, "--session", "2018-01-03"]) == 1
    assert "the lake has no trades of 2018-01-03" in capsys.readouterr().err
