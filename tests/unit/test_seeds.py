"""The committed seeds are what the domain says."""

from pathlib import Path

import pytest

from stock_pipeline.local.seeds import sale_conditions_csv, trading_sessions_csv, write_seeds

SEEDS = Path(__file__).parents[2] / "dbt_project/seeds"


@pytest.mark.parametrize("name", ["sale_conditions.csv", "trading_sessions.csv"])
def test_the_committed_seed_is_the_domains_table(name: str, tmp_path: Path) -> None:
    write_seeds(tmp_path)
    assert (SEEDS / name).read_bytes() == (tmp_path / name).read_bytes()


def test_sessions_are_written_in_utc_with_half_days() -> None:
    lines = trading_sessions_csv().splitlines()
    assert lines[0] == "session_date,open_utc,close_utc,is_half_day"
    assert "2018-01-02,2018-01-02 14:30:00,2018-01-02 21:00:00,false" in lines
    assert "2018-07-03,2018-07-03 13:30:00,2018-07-03 17:00:00,true" in lines
    assert not [line for line in lines if line.startswith("2018-07-04")]
    assert lines[-1].startswith("2035-12-31")


def test_conditions_are_written_with_their_flags() -> None:
    assert "I,Odd lot trade,true,false,false,false,false,false,false" in sale_conditions_csv().splitlines()
