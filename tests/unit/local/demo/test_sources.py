"""Users' session files are read as meant, or refused in one sentence before anything starts."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stock_pipeline.cli import main
from stock_pipeline.errors import InputFileError
from stock_pipeline.local.demo.sources import recorded_session
from stock_pipeline.providers.files.sample_session import SAMPLE_TRADES

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def sample_with(**columns: Any) -> Path:
        path = tmp_path / "session.parquet"
        pl.read_parquet(SAMPLE_TRADES).head(10).with_columns(**columns).write_parquet(path)
        return path

    return sample_with


def at(year: int) -> Any:
    return pl.lit(datetime(year, 6, 1, 15, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))


def test_trades_from_before_the_calendar_are_refused(write: Write) -> None:
    with pytest.raises(InputFileError, match="the time is not between 1993, where the calendar begins"):
        recorded_session(write(event_time=at(1992)))


def test_trades_of_a_day_without_trading_are_refused(write: Write) -> None:
    with pytest.raises(InputFileError, match="2019-06-01, a day on which the exchange is closed"):
        recorded_session(write(event_time=at(2019)))


@pytest.mark.parametrize(("recorded", "symbol"), [("BRK B", "BRK.B"), ("MSFT  ", "MSFT"), ("aapl", "aapl")])
def test_blanks_in_a_symbol_separate_or_pad(write: Write, recorded: str, symbol: str) -> None:
    session = recorded_session(write(symbol=pl.lit(recorded)))
    trades = [trade for capture in session.source.captures for trade in capture.trades]
    assert {trade.symbol for trade in trades} == {session.first_symbol} == {symbol}


def test_the_first_symbol_is_that_of_the_first_row_that_has_one(write: Write) -> None:
    path = write(symbol=pl.when(pl.col("sequence") == 0).then(None).otherwise(pl.lit("ABC")))
    assert recorded_session(path).first_symbol == "ABC"


def test_an_output_folder_that_does_not_exist_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--json", str(tmp_path / "nowhere" / "out.json")]) == 1
    printed = capsys.readouterr()
    assert "its folder does not exist" in printed.err
    assert printed.out == ""
