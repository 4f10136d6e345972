"""The dbt models on DuckDB, over a lake that lies in a real S3 and Glue server on loopback."""

import json
import re
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import jinja2
import pytest
import yaml

from stock_pipeline.aws.athena_ddl import VIEW_COLUMNS, view_query
from stock_pipeline.domain.bar import Bar, daily_bar
from stock_pipeline.domain.corporate_action import ACTION_COLUMNS
from stock_pipeline.domain.lake_layout import quarantine_key, raw_key, unreadable_key
from stock_pipeline.domain.rejection import Reason, Rejection
from stock_pipeline.domain.session import UnplannedDay, session_hours, use_unplanned
from stock_pipeline.domain.trade import COLUMNS, PARTITION_COLUMNS
from stock_pipeline.errors import PermanentError
from stock_pipeline.settings import SETTINGS
from stock_pipeline.streaming.quarantine import rejections_parquet
from tests.support.built_lake import PROJECT, RAW_ROWS, BuiltLake, new_lake, run_dbt
from tests.support.oracle import winning_trades
from tests.support.sample_session import SAMPLE_DATE, assert_is_the_published_bar, sample_trades
from tests.support.trades import trade, trade_on

RAW_DATE = date(2018, 1, 3)
LAKE_COLUMNS = (*COLUMNS, *PARTITION_COLUMNS)
MARTS = (
    "stock_market_data",
    "minute_bars",
    "session_part_bars",
    "hourly_bars",
    "five_minute_bars",
    "daily_bars",
    "daily_bars_adjusted",
    "daily_moving_averages",
    "top_volume",
    "unknown_conditions",
)

# One server and one database file for all tests of this file.
pytestmark = pytest.mark.xdist_group("dbt")


def bars_in_sql(lake: BuiltLake, session_date: date) -> list[Bar]:
    names = ", ".join(column.name for column in fields(Bar))
    rows = lake.query(f"select {names} from daily_bars where session_date = date '{session_date}' order by symbol")
    return [Bar(*row) for row in rows]


def test_a_lake_that_was_never_set_up_builds_models_without_rows(aws_endpoint: str, tmp_path: Path) -> None:
    lake = new_lake(aws_endpoint, tmp_path, "empty_market")
    statuses = run_dbt(lake.environment, "build")
    assert set(statuses.values()) <= {"success", "pass"}
    for relation in (
        "trades",
        "unpublished_trades",
        "raw_trades",
        "rejected_records",
        "stg_trades",
        "int_marked_trades",
        *MARTS,
    ):
        assert lake.query(f"select count(*) from {relation}") == [(0,)]


def test_the_recorded_session_gives_the_published_bar(lake: BuiltLake) -> None:
    (bar,) = bars_in_sql(lake, SAMPLE_DATE)
    assert_is_the_published_bar(bar)
    assert bar == daily_bar(sample_trades(), session_hours(SAMPLE_DATE))


def test_sql_and_python_agree_on_corrected_raw_trades(lake: BuiltLake) -> None:
    hours = session_hours(RAW_DATE)
    expected = [
        daily_bar([row for row in winning_trades(RAW_ROWS) if row.symbol == symbol], hours)
        for symbol in ("S0", "S1", "S2")
    ]
    assert None not in expected
    assert bars_in_sql(lake, RAW_DATE) == expected


def build_session(lake: BuiltLake, day: date) -> dict[str, str]:
    following = date.fromordinal(day.toordinal() + 1)
    return run_dbt(
        lake.environment, "build", "--event-time-start", day.isoformat(), "--event-time-end", following.isoformat()
    )


def test_a_late_session_is_built_alone(lake: BuiltLake) -> None:
    """2018-03-12, the first session of daylight-saving time: it opens at 13:30 UTC."""
    late = date(2018, 3, 12)
    others = f"select * from daily_bars where session_date <> date '{late}' order by symbol, session_date"
    opening = datetime(2018, 3, 12, 13, 30, tzinfo=UTC)
    rows = [
        replace(trade(number), event_time_ns=int(opening.timestamp()) * 10**9 + (number - 1) * 60 * 10**9)
        for number in range(3)
    ]
    before = lake.query(others)
    lake.publish(late, rows, "00000000000000ba")
    # the sample's session is gone from the lake too, but this run is not about it
    lake.publish(SAMPLE_DATE, [], "00000000000000bb")
    try:
        statuses = build_session(lake, late)
        assert statuses["daily_bars"] == "success"
        (bar,) = bars_in_sql(lake, late)
        assert bar == daily_bar(rows, session_hours(late))
        assert (bar.open, bar.trade_count) == (rows[1].price, 3)
        assert lake.query(f"select count(*) from minute_bars where session_date = date '{late}'") == [(3,)]
        assert lake.query(others) == before

        lake.publish(late, [], "00000000000000bc")
        build_session(lake, late)
        assert bars_in_sql(lake, late) == []
        assert lake.query(f"select count(*) from minute_bars where session_date = date '{late}'") == [(0,)]
        assert lake.query(others) == before
    finally:
        lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
        lake.client("glue").delete_partition(
            DatabaseName=lake.database, TableName="trades", PartitionValues=["2018", "3", "12"]
        )


def test_an_unknown_code_is_counted_listed_and_warned_of(lake: BuiltLake) -> None:
    unknown = [row for row in winning_trades(RAW_ROWS) if "?" in row.conditions]
    assert lake.query("select sum(trade_count), max(unknown_codes) from unknown_conditions") == [(len(unknown), "?")]
    assert lake.statuses["every_sale_condition_is_known"] == "warn"


def test_many_unknown_codes_fail_the_build(lake: BuiltLake) -> None:
    with pytest.raises(AssertionError, match="configured to fail if >= 1000"):
        run_dbt(
            lake.environment,
            *("test", "--select", "every_sale_condition_is_known", "--vars", "{few_unknown_conditions: 1}"),
        )


SESSIONS_ONLY = ("--select", "trading_sessions", "stg_trading_sessions", "--indirect-selection", "cautious")


def test_sessions_in_sql_follow_the_setting_of_unplanned_days(aws_endpoint: str, tmp_path: Path) -> None:
    days = "2026-03-04=closed,2026-03-05=11:00-13:00,2026-07-02=09:30-15:30"
    lake = new_lake(aws_endpoint, tmp_path, "unplanned_market")
    run_dbt({**lake.environment, "UNPLANNED_DAYS": days}, "build", *SESSIONS_ONLY)
    rows = lake.query(
        "select session_date, open_utc, close_utc, is_half_day from stg_trading_sessions "
        "where session_date between date '2026-03-03' and date '2026-03-05' or session_date = date '2026-07-02' "
        "order by session_date"
    )
    use_unplanned(UnplannedDay.parse(day) for day in days.split(","))
    try:
        wanted = [session_hours(day) for day in (date(2026, 3, 3), date(2026, 3, 5), date(2026, 7, 2))]
        assert session_hours(date(2026, 3, 4)) is None
    finally:
        use_unplanned(())
    assert rows == [
        (hours.session_date, utc(hours.open_ns), utc(hours.close_ns), hours.is_half_day) for hours in wanted if hours
    ]


def utc(instant_ns: int) -> datetime:
    return datetime.fromtimestamp(instant_ns // 10**9, UTC).replace(tzinfo=None)


def test_only_the_published_version_of_a_partition_is_read(lake: BuiltLake) -> None:
    assert lake.query("select count(*), count(distinct event_id) from trades") == [(39470, 39470)]


def test_market_data_counts_no_share_twice(lake: BuiltLake) -> None:
    (row,) = lake.query(
        "select count(*), count(distinct event_id), sum(volume) from stock_market_data where symbol = 'XXX'"
    )
    assert row == (39464, 39464, 5_108_362)


def test_the_view_for_people_without_dbt_shows_the_same_rows(lake: BuiltLake) -> None:
    columns = ", ".join(VIEW_COLUMNS)
    mine, theirs = f"select {columns} from stock_market_data", f"select {columns} from ({view_query('main')})"
    assert lake.query(f"({mine} except all {theirs}) union all ({theirs} except all {mine})") == []


def test_raw_trades_show_until_published_and_never_twice(lake: BuiltLake) -> None:
    question = "select count(*), count(distinct event_id), sum(volume) from stock_market_data where day = 4"
    rows = [trade_on(date(2018, 1, 4), number) for number in range(10)]
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
    "top_by_volume": "SELECT symbol, SUM(volume) AS total_volume FROM stock_market_data "
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


def test_the_promised_queries_are_right(lake: BuiltLake) -> None:
    day = {"year": 2018, "month": 1, "day": 2}
    shown = [one for one in sample_trades() if not set(one.conditions) & set("MQ")]

    ((symbol, average),) = lake.query(analysis("average_price", **day))
    assert symbol == "XXX"
    assert average == pytest.approx(float(sum(one.price for one in shown) / len(shown)))

    history = lake.query(analysis("price_history", symbol="XXX", **day))
    assert len(history) == len(shown)
    assert history[0][0].isoformat() == "2018-01-02T10:01:21.479000"
    assert history[-1][1] == shown[-1].price

    top = lake.query(analysis("top_by_volume", year=2018))
    assert top[0] == ("XXX", 5_108_362)
    assert {"S0", "S1", "S2"} < {symbol for symbol, _ in top}


def test_rejected_lines_can_be_queried_beside_unreadable_files(lake: BuiltLake) -> None:
    arrival = datetime(2018, 1, 2, 15, 30, tzinfo=UTC)
    rejection = Rejection(Reason.VALUE, "price", b"\xff", "shardId-0", "7", 3, "bucket-0001", arrival.timestamp())
    files = {
        quarantine_key(SAMPLE_DATE, "shardId-0", "7", "7", "0" * 16): rejections_parquet([rejection]),
        unreadable_key(raw_key(SAMPLE_DATE, "shardId-0", "1", "2", "0" * 16)): b"no Parquet",
    }
    for key, body in files.items():
        lake.client("s3").put_object(Bucket=lake.bucket, Key=key, Body=body)
    columns = "reason, detail, payload_base64, line, arrival_time, year, month, day"
    assert lake.query(f"select {columns} from rejected_records") == [
        ("value", "price", "/w==", 3, arrival.replace(tzinfo=None), 2018, 1, 2)
    ]


def test_a_filter_on_the_partition_reaches_the_files(lake: BuiltLake) -> None:
    def files_read(day: int) -> list[str]:
        question = (
            "explain analyze select count(distinct event_id) from stock_market_data "
            f"where year = 2018 and month = 1 and day = {day}"
        )
        return re.findall(r"Total Files Read: (\d+)", lake.query(question)[0][1])

    assert max(map(int, files_read(2))) == 1
    assert not any(map(int, files_read(9)))


def test_a_partition_that_lies_elsewhere_is_refused(lake: BuiltLake) -> None:
    stray = date(2018, 1, 9)
    lake.catalog.publish(stray, f"s3://{lake.bucket}/curated/trades/year=2018/month=1/day=8/v=00000000000000ad/")
    try:
        with pytest.raises(PermanentError, match="is not a path of that day"):
            lake.query("select 1")
    finally:
        lake.catalog.client.delete_partition(
            DatabaseName=lake.catalog.database, TableName="trades", PartitionValues=["2018", "1", "9"]
        )


def test_the_documentation_site_describes_marts_and_columns(lake: BuiltLake) -> None:
    run_dbt(lake.environment, "docs", "generate")
    folder = lake.duckdb_path.parent / "target"
    assert "<html" in (folder / "index.html").read_text()
    catalog = json.loads((folder / "catalog.json").read_text())["nodes"]
    described = json.loads((folder / "manifest.json").read_text())["nodes"]
    for mart in MARTS:
        name = f"model.stock_pipeline.{mart}"
        assert described[name]["description"]
        built = {column.lower() for column in catalog[name]["columns"]}
        assert built == {column for column, about in described[name]["columns"].items() if about["description"]}


def test_the_text_of_a_trades_column_is_the_one_of_the_code() -> None:
    texts = dict(re.findall(r"{% docs (\w+) %}(.*?){% enddocs %}", (PROJECT / "models/columns.md").read_text()))
    assert {column.name: column.description for column in LAKE_COLUMNS}.items() <= texts.items()


def test_sources_describe_the_columns_of_the_lake() -> None:
    source = yaml.safe_load((PROJECT / "models/sources/lake.yml").read_text())["sources"][0]
    of_trades = [(column.name, f"{{{{ doc('{column.name}') }}}}") for column in LAKE_COLUMNS]
    of_actions = [(column.name, column.description) for column in ACTION_COLUMNS]
    for table in source["tables"]:
        expected = of_actions if table["name"] == "corporate_actions" else of_trades
        assert [(column["name"], column["description"]) for column in table["columns"]] == expected
    assets = {table["name"]: table["config"]["meta"]["dagster"]["asset_key"] for table in source["tables"][1:]}
    # the asset of unpublished trades is that of all raw ones, and no model reads the table of these
    assert assets == {
        "unpublished_trades": ["raw_trades"],
        "trades": ["trades"],
        "corporate_actions": ["corporate_actions"],
    }


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


def test_the_rules_of_a_models_rows_are_one_query_which_tells_the_broken_one(lake: BuiltLake) -> None:
    target = lake.duckdb_path.parent / "target"
    tests = [
        node for node in json.loads((target / "manifest.json").read_text())["nodes"].values() if "test_metadata" in node
    ]
    kinds = {node["test_metadata"]["name"] for node in tests}
    assert kinds == {"unique_combination", "rows_hold", "relationships"}
    ruled = [node["attached_node"] for node in tests if node["test_metadata"]["name"] == "rows_hold"]
    assert len(ruled) == len(set(ruled)) > 15
    (compiled,) = (target / "compiled").rglob("top_volume_rows_hold*.sql")
    with duckdb.connect(str(lake.duckdb_path)) as connection:
        connection.begin()
        connection.execute("update top_volume set place = 0 where place = 1 and period = 'day'")
        connection.execute("update top_volume set period = 'it''s a week', place = 0 where period = 'month'")
        asked = f"select broken_rule, count(*) from ({compiled.read_text()}) group by all order by all"
        found = connection.execute(asked).fetchall()
        connection.rollback()
    assert [rule for rule, _ in found] == [
        "period is not null and period in ('day', 'month', 'year')",
        "place is not null and place >= 1",
    ]
