"""Build the models on Athena and on DuckDB over one lake, and compare every mart row by row, column by column.

`make check-engines` runs it against a stand-in. Against an account: `python -m tests.check_engines` with AWS
credentials, BUCKET_NAME and DATABASE_NAME set to a bucket and to a Glue database that does not exist yet; both keep
what it writes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import boto3
import duckdb

from stock_pipeline.aws.athena import Athena
from stock_pipeline.domain.session import trading_days
from stock_pipeline.domain.trade import Trade
from stock_pipeline.local.duckdb.catalog import connect_lake
from stock_pipeline.settings import Settings
from tests.support.bucket_lake import BucketLake
from tests.support.random_trades import random_trades
from tests.support.sample_session import SAMPLE_DATE, sample_trades

PROJECT = Path(__file__).parents[1] / "dbt_project"
MARTS = (
    "minute_bars",
    "daily_bars",
    "daily_bars_adjusted",
    "daily_moving_averages",
    "top_volume",
    "unknown_conditions",
    "stock_market_data",
)

SOME_ROWS = {"stock_market_data": "where symbol <> 'XXX' or mod(sequence, 20) = 0"}
"""Rows come a thousand at a time, so every twentieth of the recorded session is enough."""


@dataclass(frozen=True)
class Engines:
    """Both engines over one lake."""

    settings: Settings
    folder: Path

    def dbt(self, target: str, *arguments: str) -> dict[str, str]:
        """Run dbt, and return each node's status by its short name."""
        places = ["--project-dir", PROJECT, "--profiles-dir", PROJECT]
        folder = self.folder / target
        command = [Path(sys.executable).with_name("dbt"), *arguments, "--target", target]
        done = subprocess.run(
            [*map(str, command), *map(str, places), "--target-path", str(folder), "--log-path", str(folder)],
            env={**os.environ, "DUCKDB_PATH": self.settings.duckdb_path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"dbt {' '.join(arguments)} --target {target} failed:\n{done.stdout[-8000:]}{done.stderr[-2000:]}")
        results = json.loads((folder / "run_results.json").read_text())["results"]
        return {result["unique_id"].split(".", 2)[2]: result["status"] for result in results}

    def on_athena(self, sql: str) -> list[tuple[Any, ...]]:
        athena = Athena(
            boto3.client("athena", region_name=self.settings.aws_region),
            self.settings.athena_workgroup,
            self.settings.database_name,
            time.sleep,
            f"s3://{self.settings.bucket_name}/athena-results/",
        )
        return athena.query(sql).rows

    def on_duckdb(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.settings.duckdb_path) as connection:
            session = boto3.Session(region_name=self.settings.aws_region)
            connect_lake(connection, session, self.settings.bucket_name, self.settings.database_name)
            return connection.execute(sql).fetchall()


def columns_of(engines: Engines, mart: str) -> list[str]:
    manifest = json.loads((engines.folder / "athena" / "manifest.json").read_text())
    return list(manifest["nodes"][f"model.stock_pipeline.{mart}"]["columns"])


def expression(column: str) -> str:
    # Athena rounds to milliseconds, DuckDB keeps microseconds: compare what rounding hardly changes
    if column == "event_time":
        milliseconds = "date_diff('millisecond', timestamp '1970-01-01 00:00:00', event_time)"
        return f"abs({milliseconds} - event_time_ns / 1000000) <= 1 as event_time"
    if column == "ingest_time":
        return "cast(date_trunc('second', ingest_time) as timestamp) as ingest_time"
    return column


def differences(engines: Engines, mart: str) -> list[str]:
    """Return a line for each kind of difference in one mart."""
    columns = columns_of(engines, mart)
    sql = f"select {', '.join(map(expression, columns))} from {mart} {SOME_ROWS.get(mart, '')}"
    athena, local = Counter(engines.on_athena(sql)), Counter(engines.on_duckdb(sql))
    if athena == local:
        print(f"  ✓ {mart}: {athena.total():,} rows and {len(columns)} columns are the same")
        return []
    only_athena, only_local = list((athena - local).elements()), list((local - athena).elements())
    lines = [f"{mart}: {len(only_athena)} rows only on Athena, {len(only_local)} only on DuckDB"]
    for one, other in zip(sorted(only_athena, key=str)[:5], sorted(only_local, key=str)[:5], strict=False):
        lines += [
            f"  {name}: {a!r} on Athena, {b!r} on DuckDB"
            for name, a, b in zip(columns, one, other, strict=True)
            if a != b
        ]
    return lines


def compare(engines: Engines, marts: Sequence[str] = MARTS) -> None:
    found = [line for mart in marts for line in differences(engines, mart)]
    if found:
        sys.exit("the engines disagree\n" + "\n".join(found))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        environ = {**os.environ, "DUCKDB_PATH": str(Path(name) / "local.duckdb")}
        environ.setdefault("BUCKET_NAME", environ.get("ATHENA_CHECK_BUCKET", ""))
        os.environ["BUCKET_NAME"] = environ["BUCKET_NAME"]
        check(Engines(Settings.from_env(environ), Path(name)))


def check(engines: Engines) -> None:
    lake = BucketLake(
        boto3.Session(region_name=engines.settings.aws_region),
        engines.settings.bucket_name,
        engines.settings.database_name,
    )
    if lake.database_exists():
        sys.exit(f"database {engines.settings.database_name} exists already: set DATABASE_NAME to one that does not")
    lake.catalog.create()
    rows = random_trades(600, seed=11)
    lake.put_raw(sample_trades(), "1")
    lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
    lake.put_raw(rows, "2")
    lake.put_raw(rows[::-2], "3")
    for attempt in ("first", "second"):
        print(f"Build everything, {attempt} time")
        for target in ("athena", "local"):
            engines.dbt(target, "build")
        compare(engines)
    one_session(engines, lake)
    example_queries(engines)
    backfill(engines, lake)


def example_queries(engines: Engines) -> None:
    """Compare the answers of the example queries, compiled by each target."""
    print("Ask the example queries")
    of_day = json.dumps({"symbol": "XXX", "year": 2018, "month": 1, "day": 2})
    for target in ("athena", "local"):
        engines.dbt(target, "compile", "--select", "path:analyses", "--vars", of_day)
    for path in sorted((engines.folder / "athena").glob("compiled/*/analyses/*.sql")):
        local = engines.folder / "local" / path.relative_to(engines.folder / "athena")
        athena_rows, local_rows = engines.on_athena(path.read_text()), engines.on_duckdb(local.read_text())
        if Counter(map(rounded, athena_rows)) != Counter(map(rounded, local_rows)):
            sys.exit(f"{path.stem} gives {athena_rows[:3]}… on Athena and {local_rows[:3]}… on DuckDB")
        print(f"  ✓ {path.stem}: {len(local_rows):,} rows are the same")


def rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Round to what both engines have: whole seconds, and five places of an average, which Athena rounds to six."""

    def common(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.replace(microsecond=0, tzinfo=None)
        return round(float(value), 5) if isinstance(value, float | Decimal) else value

    return tuple(map(common, row))


def one_session(engines: Engines, lake: BucketLake) -> None:
    """A late session, a session that changes, and one whose trades vanish: each alone."""
    print("Build single sessions: one late, one changed, one without trades any more")
    late, changed = date(2018, 7, 3), SAMPLE_DATE
    shifted = [moved(one, SAMPLE_DATE, late) for one in sample_trades()[5_000:6_000]]
    before = engines.on_athena(
        f"select * from daily_bars where session_date <> date '{late}' order by symbol, session_date"
    )
    for day, trades, version in (
        (late, shifted, "00000000000000ba"),
        (changed, sample_trades()[:2_000], "00000000000000bb"),
    ):
        lake.publish(day, trades, version)
        build_session(engines, day)
        compare(engines)
        if day == late:
            after = engines.on_athena(
                f"select * from daily_bars where session_date <> date '{late}' order by symbol, session_date"
            )
            if before != after:
                sys.exit("building one session changed the rows of another")
    lake.publish(late, [], "00000000000000bc")
    build_session(engines, late)
    compare(engines)
    if engines.on_athena(f"select * from daily_bars where session_date = date '{late}'"):
        sys.exit(f"{late} has no trades any more, and still a daily bar on Athena")


def backfill(engines: Engines, lake: BucketLake) -> None:
    """Three hundred sessions in one run: Athena writes a hundred partitions in one statement at most."""
    sessions = list(islice(trading_days(date(2019, 1, 1), date(2020, 12, 31)), 300))
    print(f"Build {len(sessions)} sessions at once, {sessions[0]} to {sessions[-1]}")
    # from the morning: half days have no prices in the afternoon
    trades = [one for one in sample_trades()[2_000:2_100] if one.conditions in ("", "F")][:3]
    for number, day in enumerate(sessions):
        rows = [replace(moved(one, SAMPLE_DATE, day), price=one.price + number) for one in trades]
        lake.publish(day, rows, f"{number:016x}")
    build_sessions(engines, sessions[0], sessions[-1])
    compare(engines)
    for mart in ("daily_bars", "daily_moving_averages"):
        ((found,),) = engines.on_athena(f"select count(*) from {mart} where year in (2019, 2020)")
        if found != len(sessions):
            sys.exit(f"{len(sessions)} sessions were to be built, {found} are in {mart} on Athena")


def build_session(engines: Engines, day: date) -> None:
    build_sessions(engines, day, day)


def build_sessions(engines: Engines, first: date, last: date) -> None:
    """Build the session tables and what is made of them. The data tests ran with the full builds."""
    window = ["--event-time-start", first.isoformat(), "--event-time-end", (last + timedelta(days=1)).isoformat()]
    for target in ("athena", "local"):
        engines.dbt(target, "run", "--select", "config.materialized:session_table+", *window)


def moved(trade: Trade, old: date, new: date) -> Trade:
    """Return the trade on another date, with a new id. Both dates are standard time, or this is an hour off."""
    days = new.toordinal() - old.toordinal()
    return replace(
        trade, event_time_ns=trade.event_time_ns + days * 86_400 * 10**9, event_id=f"{trade.event_id}:{new:%Y%m%d}"
    )


if __name__ == "__main__":
    main()
