"""The committed seeds are what the domain says."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from stock_pipeline.cli import main
from stock_pipeline.domain.corporate_action import ActionKind, CorporateAction
from stock_pipeline.domain.session import is_trading_day
from stock_pipeline.local.seeds import sale_conditions_csv, trading_sessions_csv, write_seeds

SEEDS = Path(__file__).parents[3] / "dbt_project/seeds"


@pytest.mark.parametrize("name", ["sale_conditions.csv", "trading_sessions.csv"])
def test_the_committed_seed_is_the_domains_table(name: str, tmp_path: Path) -> None:
    write_seeds(tmp_path)
    assert (SEEDS / name).read_bytes() == (tmp_path / name).read_bytes()


def test_sessions_are_written_in_utc_with_half_days() -> None:
    lines = trading_sessions_csv().splitlines()
    assert lines[0] == "session_date,night_end_utc,open_utc,close_utc,is_half_day"
    assert "2018-01-02,2018-01-02 09:00:00,2018-01-02 14:30:00,2018-01-02 21:00:00,false" in lines
    assert "2018-07-03,2018-07-03 08:00:00,2018-07-03 13:30:00,2018-07-03 17:00:00,true" in lines
    assert not [line for line in lines if line.startswith("2018-07-04")]
    assert lines[-1].startswith("2035-12-31")


def test_conditions_are_written_with_their_flags() -> None:
    lines = sale_conditions_csv().splitlines()
    assert "I,,Odd lot trade,true,false,false,false,false,false,false,false" in lines
    assert "B,C,Bunched trade,true,true,true,false,false,false,false,false" in lines


def test_the_command_writes_what_changed_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seeds", "--folder", str(tmp_path)]) == 0
    assert "trading_sessions.csv" in capsys.readouterr().out
    assert main(["seeds", "--folder", str(tmp_path)]) == 0
    assert "as they should be" in capsys.readouterr().out
    assert main(["seeds", "--folder", str(tmp_path / "nowhere")]) == 1


def test_every_override_is_an_action_that_begins_with_a_session() -> None:
    with (SEEDS / "corporate_action_overrides.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        ex_date = date.fromisoformat(row["ex_date"])
        assert is_trading_day(ex_date), row
        numbers = {name: Decimal(row[name] or 0) for name in ("shares_before", "shares_after", "cash_amount")}
        CorporateAction(ActionKind(row["kind"]), row["symbol"], ex_date, ex_date, row["new_symbol"], **numbers)
