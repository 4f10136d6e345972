"""DuckDB reads the raw files of unpublished sessions only, and opens no other one."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from stock_pipeline.aws.athena_ddl import view_query
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.lake_layout import raw_key, raw_partition_prefix, unreadable_key
from stock_pipeline.domain.trade import Trade
from stock_pipeline.domain.unpublished_plan import READERS_GRACE
from stock_pipeline.lake.compaction import Compactor
from tests.support.built_lake import BuiltLake, new_lake, run_dbt
from tests.support.random_trades import DAY_NS
from tests.support.trades import NOON, trade

pytestmark = pytest.mark.xdist_group("dbt")

FIRST, SECOND, THIRD = (date(2018, 1, day) for day in (2, 3, 4))


def rows_of(day: date) -> list[Trade]:
    start = NOON + (day - FIRST).days * DAY_NS
    return [replace(trade(number), event_time_ns=start + number, event_id=f"{day}:{number}") for number in range(5)]


def break_file(lake: BuiltLake, day: date) -> str:
    """A file that sorts before all others of its session."""
    key = raw_key(day, "shardId-000000000000", "0", "0", "0" * 16)
    lake.client("s3").put_object(Bucket=lake.bucket, Key=key, Body=b"no Parquet")
    return key


@pytest.fixture
def market(aws_endpoint: str, tmp_path: Path) -> BuiltLake:
    """One session published and its raw files still there, two sessions in raw only."""
    lake = new_lake(aws_endpoint, tmp_path, tmp_path.name)
    lake.duckdb_path.parent.mkdir(exist_ok=True)
    lake.catalog.create()
    for day in (FIRST, SECOND, THIRD):
        lake.put_raw(rows_of(day), "1")
        lake.put_raw(rows_of(day)[1:], "2")
    lake.publish(FIRST, rows_of(FIRST), "00000000000000ab")
    return lake


def shown(lake: BuiltLake, where: str = "true") -> list[tuple[int, int]]:
    return lake.query(f"select count(*), count(distinct event_id) from ({view_query('main')}) as market where {where}")


@pytest.mark.parametrize("dropped", [False, True])
def test_a_broken_raw_file_of_a_published_session_breaks_no_query_and_no_model(
    market: BuiltLake, dropped: bool
) -> None:
    break_file(market, FIRST)
    if dropped:
        market.refresh(datetime.now(UTC) + READERS_GRACE + timedelta(seconds=1))
    assert (FIRST in market.catalog.unpublished_sessions()) is not dropped
    assert market.query("select 1") == [(1,)]
    assert shown(market) == [(15, 15)]
    statuses = run_dbt(market.environment, "build")
    assert set(statuses.values()) <= {"success", "pass"}
    assert market.query("select count(*) from stock_market_data") == [(15,)]
    assert market.query("select count(*) from raw_trades where day > 2") == [(18,)]
    with pytest.raises(duckdb.Error, match="shardId-000000000000-0-0"):
        market.query("select count(event_id) from raw_trades")


def test_a_broken_raw_file_of_an_unpublished_session_breaks_queries_of_that_session_only(market: BuiltLake) -> None:
    break_file(market, SECOND)
    assert market.query("select 1") == [(1,)]
    assert shown(market, "day = 2") == [(5, 5)]
    assert shown(market, "day = 4") == [(5, 5)]
    with pytest.raises(duckdb.Error, match="shardId-000000000000-0-0"):
        shown(market, "day = 3")


def test_models_of_a_session_that_was_published_without_an_unreadable_file_are_built_at_once(
    market: BuiltLake,
) -> None:
    bad = break_file(market, SECOND)
    store = ObjectStore(market.client("s3"), market.bucket)
    report = Compactor(store, market.catalog, lambda: datetime.now(UTC)).compact(SECOND, allow_missing=True)
    assert report.unreadable == (bad,)
    assert SECOND in market.catalog.unpublished_sessions()
    window = ["--event-time-start", SECOND.isoformat(), "--event-time-end", THIRD.isoformat()]
    assert set(run_dbt(market.environment, "build", *window).values()) <= {"success", "pass"}
    assert market.query("select sum(trade_count) from daily_bars") == [(5,)]
    folder = raw_partition_prefix(SECOND)
    assert market.query(f"select count(*) from read_parquet('s3://{market.bucket}/{folder}*.parquet')") == [(9,)]
    assert store.get(unreadable_key(bad)) == b"no Parquet"


def test_sessions_are_read_once_they_are_registered(market: BuiltLake) -> None:
    day = date(2018, 1, 5)
    market.put_raw_file(day, rows_of(day), "1")
    assert shown(market, "day = 5") == [(0, 0)]
    market.refresh()
    assert shown(market, "day = 5") == [(5, 5)]


def test_raw_files_are_shown_as_typed_and_pruned_as_published_ones(market: BuiltLake) -> None:
    (raw,) = market.query("select distinct typeof(columns(*)) from raw_trades")
    (published,) = market.query("select distinct typeof(columns(*)) from trades")
    assert raw == published
    (plan,) = market.query("explain analyze select count(event_id) from raw_trades where year = 2018 and day = 3")
    assert "Total Files Read: 2" in plan[1]
    assert market.query("select min(event_time), max(session_date) from unpublished_trades where day = 3") == [
        (datetime(2018, 1, 3, 17, tzinfo=UTC).replace(tzinfo=None), SECOND)
    ]
