"""Rows of files in the raw zone: however they are dealt out to files, they are the same rows."""

import random
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.domain.trade import Trade, order_key
from stock_pipeline.lake import raw_import
from stock_pipeline.lake.raw_import import RawImport, SessionReport
from stock_pipeline.streaming.raw_files import parquet_bytes
from tests.fakes.stores import FakeObjectStore
from tests.support.raw_files import read_trades
from tests.support.trade_files import Print, read_file, wrds_monthly

OPEN_NS = 1_704_292_200_000_000_000  # 2024-01-03 09:30 in New York
SESSION = date(2024, 1, 3)


@pytest.fixture
def trades(tmp_path: Path) -> pl.DataFrame:
    """Without ids: identities follow from the order of equal rows."""
    chance = random.Random(5)
    path = tmp_path / "month.csv"
    seconds = sorted(chance.randrange(60) for _ in range(500))
    path.write_text(
        wrds_monthly(
            [
                Print(f"S{chance.randrange(9)}", OPEN_NS + second * 10**9, f"1{chance.randrange(3)}.5", 100, "P", "", 0)
                for second in seconds
            ]
        )
    )
    return read_file(path)[0]


def imported(trades: pl.DataFrame, folder: Path, rows_a_file: int) -> tuple[SessionReport, dict[str, bytes]]:
    folder.mkdir()
    store = FakeObjectStore()
    target = RawImport(store, parquet_bytes, folder, 7, rows_a_file)
    for batch in trades.iter_slices(30):
        target.add(batch)
    assert target.sessions == [SESSION]
    report = target.write(SESSION)
    return report, {listed.key: store.get(listed.key) for listed in store.list(RAW_PREFIX)}


def rows(files: dict[str, bytes]) -> list[Trade]:
    return sorted((trade for body in files.values() for trade in read_trades(body)), key=order_key)


@pytest.mark.parametrize("spilled", [1, 100, 10_000])
def test_buckets_of_symbols_have_the_rows_of_one_file(
    trades: pl.DataFrame, spilled: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_import, "SPILLED_ROWS", spilled)
    one, whole = imported(trades, tmp_path / "one", 1_000)
    many, parts = imported(trades, tmp_path / "many", 100)
    assert (one.files, one.rows, one.symbols) == (1, 500, 9)
    assert 1 < many.files <= 5
    assert many._replace(files=1, written=1) == one
    assert rows(parts) == rows(whole)
    assert len({row.event_id for row in rows(parts)}) == 500


def test_the_same_rows_have_the_same_files_whatever_pieces_they_are_dealt_out_in(
    trades: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, files = imported(trades, tmp_path / "once", 100)
    monkeypatch.setattr(raw_import, "SPILLED_ROWS", 50)
    assert imported(trades, tmp_path / "again", 100)[1] == files
