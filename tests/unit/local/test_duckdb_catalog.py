"""DuckDB's views show the files that Athena wrote as it shows this project's."""

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from stock_pipeline.domain.lake_layout import VersionPrefix
from stock_pipeline.domain.trade import Trade
from stock_pipeline.local.duckdb.catalog import LakeFiles, PublishedPartition, create_views
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.support.athena_files import athena_file
from tests.support.trades import trade

DAY_NS = 86_400 * 10**9

OURS = trade(1, event_id="ours")
ATHENAS = trade(1, event_id="athenas", event_time_ns=OURS.event_time_ns + DAY_NS)


def instant(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).replace(tzinfo=None)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("athena_first", [False, True])
def test_times_of_both_engines_files_are_timestamps_in_utc_whatever_the_zone(
    tmp_path: Path, zone: str, athena_first: bool
) -> None:
    days = {date(2018, 1, 2): (OURS, False), date(2018, 1, 3): (ATHENAS, True)}
    if athena_first:
        days = {date(2018, 1, 2): (ATHENAS, True), date(2018, 1, 3): (OURS, False)}
    published = tuple(
        PublishedPartition(day, (str(written(tmp_path, VersionPrefix(day, "0" * 16), row, by_athena)),))
        for day, (row, by_athena) in days.items()
    )
    with duckdb.connect() as connection:
        connection.execute(f"set TimeZone = '{zone}'")
        create_views(connection, LakeFiles(published, (), (), ()))
        sql = "select event_id, event_time, ingest_time, typeof(event_time), typeof(ingest_time) from trades"
        found = {row[0]: row[1:] for row in connection.execute(sql).fetchall()}
        of_day = connection.execute("select count(*) from trades where year = 2018 and month = 1 and day = 3")
        assert of_day.fetchall() == [(1,)]
    assert found == {
        row.event_id: (instant(row.event_time_ns), instant(row.ingest_time_ns), "TIMESTAMP", "TIMESTAMP")
        for row in (OURS, ATHENAS)
    }


def written(folder: Path, version: VersionPrefix, row: Trade, by_athena: bool) -> Path:
    path = folder / (f"{version.prefix}20180102_230000_00000_abcde" if by_athena else version.data_key)
    path.parent.mkdir(parents=True)
    path.write_bytes(athena_file([row]) if by_athena else parquet_bytes(table_of_trades([row])))
    return path
