"""What `read` refuses before it asks an engine."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from stock_pipeline import read
from stock_pipeline.errors import InputFileError

DAY = date(2026, 1, 12)


def ask_trades(start: Any, end: Any) -> Any:
    return read.trades("AAPL", start, end, env="nowhere")


def ask_bars(start: Any, end: Any) -> Any:
    return read.bars("AAPL", start, end, env="nowhere")


@pytest.mark.parametrize("ask", [ask_trades, ask_bars])
def test_a_range_that_ends_before_it_starts_is_no_empty_answer(ask: Any) -> None:
    with pytest.raises(InputFileError, match="end, 2026-01-11, is before start, 2026-01-12"):
        ask(DAY, date(2026, 1, 11))


@pytest.mark.parametrize("asked", [{"size": "1m", "adjusted": "splits"}, {"adjusted": "dividends"}])
def test_what_is_not_adjusted_is_said(asked: dict[str, Any]) -> None:
    with pytest.raises(
        InputFileError, match="only bars of size 1d are adjusted, and adjusted takes splits, splits_and"
    ):
        read.bars("AAPL", DAY, env="nowhere", **asked)


@pytest.mark.parametrize("ask", [ask_trades, ask_bars])
@pytest.mark.parametrize("day", ["2026-01-12", datetime(2026, 1, 12, 23, tzinfo=UTC), 20260112])
def test_what_is_no_date_is_named(ask: Any, day: Any) -> None:
    for start, end in ((day, None), (DAY, day)):
        with pytest.raises(InputFileError, match="is no session's date"):
            ask(start, end)
