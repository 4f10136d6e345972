"""The dbt models on DuckDB, over a lake that lies in a real S3 and Glue server on loopback."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import duckdb
import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.domain.bar import Bar, daily_bar
from stock_pipeline.domain.lake_layout import VersionPrefix, raw_key
from stock_pipeline.domain.session import session_date_of, session_hours
from stock_pipeline.domain.trade import COLUMNS, PARTITION_COLUMNS, Trade, precedence
from stock_pipeline.errors import PermanentError
from stock_pipeline.local.duckdb_catalog import connect_lake
from stock_pipeline.local.stack import aws_services
from stock_pipeline.settings import SETTINGS
from stock_pipeline.trade_table import table_of_trades
from tests.sample_session import SAMPLE_DATE, assert_is_the_published_bar, sample_trades
from tests.trades import NOON, trade

PROJECT = Path(__file__).parents[2] / "dbt_project"
RAW_DATE = date(2018, 1, 3)
DAY_NS = 86_400 * 10**9

# One server and one database file for all tests of this file.
pytestmark = pytest.mark.xdist_group("dbt")


@dataclass(frozen=True)
class Lake:
    """A bucket and a Glue database, and the DuckDB file that dbt builds the models into."""

    session: boto3.Session
    environment: dict[str, str]

    @property
    def bucket(self) -> str:
        return self.environment["BUCKET_NAME"]

    @property
    def duckdb_path(self) -> Path:
        return Path(self.environment["DUCKDB_PATH"])

    @property
    def catalog(self) -> GlueCatalog:
        return GlueCatalog(self.client("glue"), self.environment["DATABASE_NAME"], self.bucket)

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])

    def put_raw(self, trades: Sequence[Trade], batch: str) -> None:
        by_date: dict[date, list[Trade]] = {}
        for one in trades:
            by_date.setdefault(session_date_of(one.event_time_ns), []).append(one)
        for session_date, rows in by_date.items():
            self._put(raw_key(session_date, "shardId-000000000000", batch, batch, "0" * 16), rows)

    def publish(self, session_date: date, trades: Sequence[Trade], version: str) -> None:
        place = VersionPrefix(session_date, version)
        self._put(place.data_key, trades)
        self.client("s3").put_object(Bucket=self.bucket, Key=place.manifest_key, Body=b"{}")
        self.catalog.publish(session_date, f"s3://{self.bucket}/{place.prefix}")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What a user's own connection sees, who asks after the last publish."""
        with duckdb.connect(str(self.duckdb_path)) as connection:
            connect_lake(
                connection,
                self.session,
                self.bucket,
                self.environment["DATABASE_NAME"],
                self.environment["AWS_ENDPOINT_URL"],
            )
            return connection.execute(sql).fetchall()

    def _put(self, key: str, trades: Sequence[Trade]) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table_of_trades(trades), sink, compression="zstd")
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=sink.getvalue().to_pybytes())


def run_dbt(lake: Lake, *arguments: str) -> dict[str, str]:
    """Run dbt as a user does; returns each node's status by its short name."""
    target = lake.duckdb_path.parent / "target"
    command = [Path(sys.executable).with_name("dbt"), *arguments, "--target", "local"]
    places = ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", target, "--log-path", target]
    done = subprocess.run(
        [*command, *places], env=lake.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((target / "run_results.json").read_text())["results"]
    return {result["unique_id"].split(".", 2)[2]: result["status"] for result in results}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with aws_services() as address:
        yield address


@pytest.fixture(scope="module")
def lake(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The recorded session published twice, its raw files still there; another day in raw only; then `dbt build`."""
    lake = new_lake(endpoint, tmp_path_factory.mktemp("dbt"), "stock_market")
    lake.catalog.create()
    lake.put_raw(sample_trades(), "1")
    lake.publish(SAMPLE_DATE, sample_trades()[:100], "00000000000000aa")
    lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
    lake.put_raw(RAW_ROWS, "2")
    lake.put_raw(RAW_ROWS[::-2], "3")
    run_dbt(lake, "build")
    return lake


def new_lake(endpoint: str, folder: Path, name: str) -> Lake:
    """A bucket with nothing in it, and a catalog that is still to be set up."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "DBT_"))}
    lake = Lake(
        session=boto3.Session("testing", "testing", region_name="us-east-1"),
        environment={
            **inherited,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "BUCKET_NAME": name.replace("_", "-"),
            "DATABASE_NAME": name,
            "DUCKDB_PATH": str(folder / "data" / f"{name}.duckdb"),
            "DO_NOT_TRACK": "1",
        },
    )
    lake.client("s3").create_bucket(Bucket=lake.bucket)
    return lake


def random_raw_rows(count: int) -> tuple[Trade, ...]:
    """Trades of one evening with redeliveries, corrections, cancellations and quotes, in no order."""
    chance = random.Random(11)
    rows = []
    for _ in range(count):
        number = chance.randrange(count // 2)
        row = trade(number, symbol=f"S{number % 3}", price=Decimal(100 + number % 7) + Decimal("0.0001") * number)
        row = replace(
            row,
            event_time_ns=row.event_time_ns + DAY_NS - 3 * 3600 * 10**9 + number * 60 * 10**9,
            conditions=chance.choice(("", "", "F", "I", "FTI", "M", "6", "O", "OI", "4B", "Q", "?")),
            ingest_time_ns=row.ingest_time_ns + DAY_NS + chance.randrange(10**9),
        )
        version = chance.choice((0, 0, 0, 1, 2))
        if version:
            status = chance.choice(("corrected", "cancelled"))
            row = replace(row, version=version, status=status, volume=chance.randrange(1000))
        if number % 17 == 0:
            row = replace(row, capture_mode="quote", volume=None)
        rows.append(row)
    return tuple(rows)


RAW_ROWS = random_raw_rows(600)


def standing(rows: Sequence[Trade]) -> list[Trade]:
    best: dict[str, Trade] = {}
    for row in rows:
        held = best.get(row.event_id)
        if held is None or precedence(row) > precedence(held):
            best[row.event_id] = row
    return list(best.values())


def bars_in_sql(lake: Lake, session_date: date) -> list[Bar]:
    names = ", ".join(field.name for field in fields(Bar))
    rows = lake.query(f"select {names} from daily_bars where session_date = date '{session_date}' order by symbol")
    return [Bar(*row) for row in rows]


def test_a_lake_that_was_never_set_up_builds_models_without_rows(endpoint: str, tmp_path: Path) -> None:
    lake = new_lake(endpoint, tmp_path, "empty_market")
    statuses = run_dbt(lake, "build")
    assert set(statuses.values()) <= {"success", "pass"}
    for relation in ("trades", "raw_trades", "stg_trades", "stock_market_data", "daily_bars"):
        assert lake.query(f"select count(*) from {relation}") == [(0,)]


def test_the_recorded_session_gives_the_published_bar(lake: Lake) -> None:
    (bar,) = bars_in_sql(lake, SAMPLE_DATE)
    assert_is_the_published_bar(bar)
    assert bar == daily_bar(sample_trades(), session_hours(SAMPLE_DATE))


def test_sql_and_python_agree_on_redelivered_corrected_and_cancelled_raw_trades(lake: Lake) -> None:
    hours = session_hours(RAW_DATE)
    expected = [
        daily_bar([row for row in standing(RAW_ROWS) if row.symbol == symbol], hours) for symbol in ("S0", "S1", "S2")
    ]
    assert None not in expected
    assert bars_in_sql(lake, RAW_DATE) == expected


def test_only_the_published_version_of_a_partition_is_read(lake: Lake) -> None:
    assert lake.query("select count(*), count(distinct event_id) from trades") == [(39470, 39470)]


def test_market_data_counts_no_share_twice(lake: Lake) -> None:
    (row,) = lake.query(
        "select count(*), count(distinct event_id), sum(volume) from stock_market_data where symbol = 'XXX'"
    )
    assert row == (39464, 39464, 5_108_362)


def test_raw_trades_show_until_their_partition_is_published_and_never_twice(lake: Lake) -> None:
    question = "select count(*), count(distinct event_id), sum(volume) from stock_market_data where day = 4"
    rows = [replace(trade(number), event_time_ns=NOON + 2 * DAY_NS + number) for number in range(10)]
    lake.put_raw(rows, "4")
    lake.put_raw(rows, "5")
    assert lake.query(question) == [(10, 10, 1000)]

    lake.publish(date(2018, 1, 4), rows, "00000000000000ac")
    assert lake.query(question) == [(10, 10, 1000)]
    assert lake.query('select day from "trades$partitions" order by day') == [(2,), (4,)]


PROMISED = {
    "average_price": "SELECT symbol, AVG(price) AS avg_price FROM stock_market_data "
    "WHERE year = 2026 AND month = 1 AND day = 18 GROUP BY symbol",
    "price_history": "SELECT event_time, price FROM stock_market_data "
    "WHERE symbol = 'AAPL' AND year = 2026 AND month = 1 AND day = 18 ORDER BY event_time",
    "top_volume": "SELECT symbol, SUM(volume) AS total_volume FROM stock_market_data "
    "WHERE year = 2026 GROUP BY symbol ORDER BY total_volume DESC LIMIT 5",
}


def analysis(name: str, **variables: object) -> str:
    text = (PROJECT / f"analyses/{name}.sql").read_text()
    rendered = jinja2.Template(text).render(
        ref=lambda model: model, var=lambda key, default: variables.get(key, default)
    )
    return " ".join(line.strip() for line in rendered.splitlines() if not line.startswith("--"))


@pytest.mark.parametrize("name", PROMISED)
def test_an_analysis_is_the_promised_query(name: str) -> None:
    assert analysis(name) == PROMISED[name]


def test_the_promised_queries_are_right(lake: Lake) -> None:
    day = {"year": 2018, "month": 1, "day": 2}
    shown = [one for one in sample_trades() if not set(one.conditions) & set("MQ")]

    ((symbol, average),) = lake.query(analysis("average_price", **day))
    assert symbol == "XXX"
    assert average == pytest.approx(float(sum(one.price for one in shown) / len(shown)))

    history = lake.query(analysis("price_history", symbol="XXX", **day))
    assert len(history) == len(shown)
    assert history[0][0].isoformat() == "2018-01-02T10:01:21.479000"
    assert history[-1][1] == shown[-1].price

    top = lake.query(analysis("top_volume", year=2018))
    assert top[0] == ("XXX", 5_108_362)
    assert {"S0", "S1", "S2"} < {symbol for symbol, _ in top}


def test_a_filter_on_the_partition_reaches_the_files(lake: Lake) -> None:
    def files_read(day: int) -> list[str]:
        question = (
            "explain analyze select count(distinct event_id) from stock_market_data "
            f"where year = 2018 and month = 1 and day = {day}"
        )
        return re.findall(r"Total Files Read: (\d+)", lake.query(question)[0][1])

    assert max(map(int, files_read(2))) == 1
    assert not any(map(int, files_read(9)))


def test_a_partition_that_lies_elsewhere_is_refused(lake: Lake) -> None:
    stray = date(2018, 1, 9)
    lake.catalog.publish(stray, f"s3://{lake.bucket}/curated/trades/year=2018/month=1/day=8/v=00000000000000ad/")
    try:
        with pytest.raises(PermanentError, match="is no path of that day"):
            lake.query("select 1")
    finally:
        lake.catalog.client.delete_partition(
            DatabaseName=lake.catalog.database, TableName="trades", PartitionValues=["2018", "1", "9"]
        )


def test_sources_describe_the_columns_of_the_lake() -> None:
    source = yaml.safe_load((PROJECT / "models/sources/lake.yml").read_text())["sources"][0]
    expected = [(column.name, column.description) for column in (*COLUMNS, *PARTITION_COLUMNS)]
    for table in source["tables"]:
        assert [(column["name"], column["description"]) for column in table["columns"]] == expected
        assert table["config"]["meta"]["dagster"]["asset_key"] == [table["name"]]


def test_the_profile_takes_the_settings_defaults() -> None:
    profile = (PROJECT / "profiles.yml").read_text()
    defaults = {setting.variable: setting.default for setting in SETTINGS}
    used = set(re.findall(r"env_var\('(\w+)', '([^']*)'\)", profile))
    assert {variable for variable, _ in used} >= {
        "BUCKET_NAME",
        "DATABASE_NAME",
        "AWS_REGION",
        "DUCKDB_PATH",
        "DBT_TARGET",
    }
    for variable, default in used:
        assert default == defaults[variable], variable
