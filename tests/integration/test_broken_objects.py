"""A session's trouble is its own: a broken or missing object fails the queries that read it, by its name."""

from datetime import UTC, date, datetime

import duckdb
import pytest

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.lake_layout import VersionPrefix, raw_key
from stock_pipeline.lake.compaction import Compactor
from tests.fakes.sql_engine import FakeSqlQueries
from tests.support.built_lake import BuiltLake, new_lake
from tests.support.trades import trade_on

WHOLE, MISSING, BROKEN, BROKEN_RAW, PART = (date(2018, 1, day) for day in (3, 4, 5, 8, 9))


@pytest.fixture(scope="module")
def lake(aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> BuiltLake:
    lake = new_lake(aws_endpoint, tmp_path_factory.mktemp("broken"), "broken_objects")
    lake.duckdb_path.parent.mkdir()
    lake.catalog.create()
    s3, version = lake.client("s3"), "0" * 16
    for day in (BROKEN, MISSING, WHOLE):
        lake.publish(day, [trade_on(day, 1)], version)
    s3.delete_object(Bucket=lake.bucket, Key=VersionPrefix(MISSING, version).data_key)
    s3.put_object(Bucket=lake.bucket, Key=VersionPrefix(BROKEN, version).data_key, Body=b"no Parquet file")
    # sorted first among the raw files
    s3.put_object(Bucket=lake.bucket, Key=raw_key(BROKEN_RAW, "a", "0", "0", "0" * 16), Body=b"no Parquet file")
    lake.put_raw([trade_on(BROKEN_RAW, 1)], "1")

    lake.put_raw([trade_on(PART, number) for number in (1, 2, 3)], "1")
    store = ObjectStore(s3, lake.bucket)
    compactor = Compactor(store, lake.catalog, lambda: datetime.now(UTC), sql_queries=FakeSqlQueries(store))  # type: ignore[arg-type]
    compactor.compact(PART)
    first, _second = compactor.partition(PART).published().manifest.data_keys  # type: ignore[union-attr]
    s3.delete_object(Bucket=lake.bucket, Key=first)
    return lake


def symbols(lake: BuiltLake, day: date) -> list[tuple[str]]:
    table = "unpublished_trades" if day == BROKEN_RAW else "trades"
    return lake.query(f"select symbol from {table} where year = {day.year} and month = 1 and day = {day.day}")


def test_broken_objects_do_not_fail_other_queries(lake: BuiltLake) -> None:
    assert lake.query("select 1") == [(1,)]
    assert symbols(lake, WHOLE) == [("ABC",)]


@pytest.mark.parametrize("day", [MISSING, BROKEN, BROKEN_RAW, PART])
def test_a_query_of_a_broken_session_fails_by_the_objects_name(lake: BuiltLake, day: date) -> None:
    with pytest.raises(duckdb.Error, match=rf"/day(=|%3D){day.day}/"):
        symbols(lake, day)
