"""Rows that Athena wrote are read as this project's own: the same types, the same values, wherever the reader is."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from stock_pipeline.lake.input_files import read_group, read_in_pieces
from stock_pipeline.lake.published_rows import published_findings
from stock_pipeline.lake.session_counts import count_curated
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.fakes.sql_engine import FakeSqlQueries
from tests.support.athena_files import athena_file
from tests.support.lake import SESSION, Lake, winning_trades
from tests.support.trades import trade

ROWS = [trade(number) for number in range(5)]


@pytest.fixture(params=["UTC", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_base_rows_have_the_types_and_values_of_trades(tmp_path: Path) -> None:
    (tmp_path / "ours").write_bytes(parquet_bytes(table_of_trades(ROWS)))
    (tmp_path / "athenas").write_bytes(athena_file(ROWS))
    (ours,), (athenas,) = (list(read_in_pieces(tmp_path / name)) for name in ("ours", "athenas"))
    assert athenas.schema == ours.schema
    assert athenas.equals(ours)


@pytest.mark.usefixtures("zone")
def test_a_raw_file_that_athena_wrote_is_read_among_small_ones_of_ours(tmp_path: Path) -> None:
    paths = [tmp_path / "ours", tmp_path / "athenas"]
    paths[0].write_bytes(parquet_bytes(table_of_trades(ROWS[:2])))
    paths[1].write_bytes(athena_file(ROWS[2:]))
    for some, rows in ((paths, ROWS), (paths[::-1], [*ROWS[2:], *ROWS[:2]])):
        read = pl.concat(list(read_group(some, SESSION).frames))
        assert read.equals(pl.DataFrame(table_of_trades(rows)))


@pytest.mark.usefixtures("zone")
def test_the_newest_trades_of_a_symbol_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "ours").write_bytes(parquet_bytes(table_of_trades(ROWS)))
    (tmp_path / "athenas").write_bytes(athena_file(ROWS))
    assert count_curated([tmp_path / "athenas"], 3) == count_curated([tmp_path / "ours"], 3)


@pytest.mark.usefixtures("zone")
def test_rows_of_every_file_of_a_version_are_checked() -> None:
    lake = Lake()
    lake.add([*ROWS, trade(7, volume=-1), trade(8, volume=-1)], 1)
    replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store)).compact(SESSION)
    findings = published_findings(lake.partition)
    assert findings is not None
    assert findings.rows == 7
    assert findings.bad == {"volume is below zero": 2}


@pytest.mark.usefixtures("zone")
def test_compaction_on_top_of_what_athena_wrote_keeps_its_times() -> None:
    lake = Lake()
    lake.add(ROWS[:3], 1)
    replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store)).compact(SESSION)
    lake.add(ROWS[2:], 2)
    lake.compactor.compact(SESSION)
    assert lake.read() == winning_trades(ROWS)
