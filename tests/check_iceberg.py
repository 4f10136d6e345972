"""Keep the session tables as Iceberg on Athena: build, merge, read by partition, upkeep, time travel, and the way back.

Every step is compared with DuckDB. Run by hand against a stand-in with a real Trino, or with AWS credentials as
`tests.check_engines` says: `python -m tests.check_iceberg`.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import dagster as dg

from stock_pipeline.aws.iceberg_tables import IcebergTables
from stock_pipeline.errors import PermanentError
from stock_pipeline.orchestration.iceberg_upkeep import iceberg_upkeep
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.wiring import Wiring
from tests.check_engines import build_sessions, compare, moved, overtaken
from tests.support.bucket_lake import BucketLake
from tests.support.engines import Alike, Allowed, Engines
from tests.support.random_trades import random_trades
from tests.support.sample_session import SAMPLE_DATE, sample_trades

SESSION_TABLES = ("minute_bars", "session_part_bars", "daily_bars")
MARTS = (*SESSION_TABLES, "daily_bars_adjusted", "daily_moving_averages", "top_volume")
LATE = date(2018, 2, 5)
MICROSECONDS: Alike = {
    ("timestamp(6)", "TIMESTAMP"): Allowed("Iceberg tables keep microseconds, as DuckDB does", lambda value: value)
}
RUN = ("run", "--select", "config.materialized:session_table")


@dataclass(frozen=True)
class TypedEngines(Engines):
    """Engines whose session tables have a type."""

    table_type: str = "hive"

    def command(self, target: str, *arguments: str) -> list[str]:
        return super().command(target, *arguments, "--vars", f"table_type: {self.table_type}")

    def same(self, questions: Mapping[str, tuple[str, str]], allowed: Alike | None = None) -> None:
        super().same(questions, {**MICROSECONDS, **(allowed or {})})

    def on_athena(self, sql: str) -> list[tuple[Any, ...]]:
        return self.athena.query(sql).rows

    def of_type(self, table_type: str) -> "TypedEngines":
        return replace(self, table_type=table_type)

    def scanned(self, sql: str) -> int:
        return self.wiring.athena.query(sql).bytes_scanned or 0

    @property
    def wiring(self) -> Wiring:
        return Wiring.of(self.settings)

    @property
    def tables(self) -> IcebergTables:
        return self.wiring.iceberg_tables


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"DUCKDB_PATH": str(Path(name) / "local.duckdb"), "DBT_TARGET": "athena"}
        check(TypedEngines.of(os.environ, Path(name)))


def check(engines: TypedEngines) -> None:
    settings = engines.settings
    lake = BucketLake(boto3.Session(region_name=settings.aws_region), settings.bucket_name, settings.database_name)
    if lake.database_exists():
        sys.exit(f"database {settings.database_name} exists already: set DATABASE_NAME to one that does not")
    lake.catalog.create()
    lake.put_raw(random_trades(600, seed=11), "1")
    lake.publish(SAMPLE_DATE, sample_trades()[:6_000], "00000000000000ab")
    hive, iceberg = engines.of_type("hive"), engines.of_type("iceberg")

    step("Build as Hive")
    engines.dbt("build", "--exclude-resource-type", "test", "unit_test")
    compare(engines, MARTS)
    switch(hive, iceberg)
    merges(iceberg, lake)
    reads_its_partitions(iceberg)
    upkeep_and_time_travel(iceberg)
    switch(iceberg, hive)


def step(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}")


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(otherwise)


def switch(old: TypedEngines, new: TypedEngines) -> None:
    """Without --full-refresh a build says what to do and touches nothing; with it the tables are of the other type."""
    step(f"Go from {old.table_type} to {new.table_type}")
    try:
        new.dbt_on("athena", *RUN)
    except SystemExit as error:
        for name in SESSION_TABLES:
            said = f"is of table_type {old.table_type}, and this run wants {new.table_type}"
            expect(f'"{name}" {said}' in str(error), f"the build of {name} does not say what to do:\n{error}")
    else:
        sys.exit(f"tables of {old.table_type} were built as {new.table_type}, as if they were")
    compare(old, MARTS)
    new.dbt_on("athena", *RUN, "--full-refresh")
    compare(new, MARTS)
    expect(
        new.tables.names() == (sorted(SESSION_TABLES) if new.table_type == "iceberg" else []),
        f"Iceberg tables are {new.tables.names()} after going to {new.table_type}",
    )
    for name in SESSION_TABLES:
        runs = {key.split("/")[3].rpartition("-")[2] for key in keys_of(new, name)}
        expect(len(runs) == 1, f"files of the old {name} are still there, of runs {sorted(runs)}")


def merges(engines: TypedEngines, lake: BucketLake) -> None:
    """A late session, a changed one, a run that changes nothing, and one whose trades vanish."""
    step("Merge a late session")
    lake.publish(LATE, [moved(one, SAMPLE_DATE, LATE) for one in sample_trades()[3_000:5_000]], "00000000000000ba")
    build_sessions(engines, LATE, LATE)
    compare(engines, MARTS)

    step("Merge a changed session")
    lake.publish(SAMPLE_DATE, sample_trades()[:4_000], "00000000000000bb")
    before = {name: snapshot(engines, name) for name in SESSION_TABLES}
    build_sessions(engines, SAMPLE_DATE, SAMPLE_DATE)
    compare(engines, MARTS)
    for name in SESSION_TABLES:
        writes_only_what_differs(engines, name, before[name])

    step("Build everything again, without a change")
    before = {name: (snapshot(engines, name), keys_of(engines, name)) for name in SESSION_TABLES}
    engines.dbt_on("athena", *RUN)
    for name in SESSION_TABLES:
        found = snapshot(engines, name), keys_of(engines, name)
        expect(found == before[name], f"a run that changes nothing wrote to {name}: {before[name]} became {found}")
    print("  ✓ no snapshot and no object is new")

    step("Merge a session without trades any more")
    lake.publish(LATE, [], "00000000000000bc")
    build_sessions(engines, LATE, LATE)
    compare(engines, MARTS)

    step("Merge older rows while another run merges newer ones")
    overtaken(engines, lake, date(2018, 2, 6), "merge into", MARTS)
    for name in SESSION_TABLES:
        rows = engines.on_athena(f"select * from {name} where session_date = date '{LATE}'")
        expect(rows == [], f"{LATE} has no trades any more, and still {len(rows)} rows in {name}")


def snapshot(engines: TypedEngines, table: str) -> int:
    ((found,),) = engines.on_athena(f'select snapshot_id from "{table}$snapshots" order by committed_at desc limit 1')
    return int(found)


def keys_of(engines: TypedEngines, table: str) -> list[str]:
    prefix = f"marts/{engines.settings.database_name}/{table}/"
    return [listed.key for listed in engines.wiring.objects.list(prefix)]


def writes_only_what_differs(engines: TypedEngines, table: str, before: int) -> None:
    now, then = f"select * from {table}", f"select * from {table} for version as of {before}"
    wanted = engines.on_athena(
        f"select (select count(*) from ({now} except {then})), (select count(*) from ({then} except {now}))"
    )[0]
    counted = ("added-records", "added-position-deletes")
    totals = ", ".join(f"cast(coalesce(element_at(summary, '{name}'), '0') as bigint)" for name in counted)
    written = engines.on_athena(f'select {totals} from "{table}$snapshots" order by committed_at desc limit 1')[0]
    expect(written == wanted, f"the merge of {table} wrote and deleted {written} rows; {wanted} differ")
    ((rows,),) = engines.on_athena(f"select count(*) from {table}")
    print(f"  ✓ {table}: {written[0]} of {rows} rows written, {written[1]} deleted, as many as differ")


def reads_its_partitions(engines: TypedEngines) -> None:
    """A filter on day or month reads the files of those partitions and no others."""
    step("Read one day and one month")
    day = "year = 2018 and month = 1 and day = 2"
    for table in SESSION_TABLES:
        for where, path in ((day, "%/year=2018/month=1/day=2/%"), ("year = 2018 and month = 1", "%/month=1/%")):
            sql = f"select max(high), sum(volume) from {table} where {where}"
            plan = "\n".join(line for (line,) in engines.on_athena(f"explain {sql}"))
            expect("constraint on [year, month" in plan, f"the filter {where} does not prune {table}:\n{plan}")
            expect("FilterProject" not in plan and "Filter[" not in plan, f"{table} is filtered row by row:\n{plan}")
            ((most, every),) = engines.on_athena(
                f"select sum(case when file_path like '{path}' then file_size_in_bytes end), sum(file_size_in_bytes)"
                f' from "{table}$files"'
            )
            scanned = engines.scanned(sql)
            expect(0 < scanned <= most < every, f"{where} read {scanned} bytes of {table}; its files have {most}")
            print(f"  ✓ {table} where {where}: {scanned:,} bytes read; the filter's files have {most:,} of {every:,}")


def upkeep_and_time_travel(engines: TypedEngines) -> None:
    step("Keep the tables up, and read them as they were")
    first = {
        name: engines.on_athena(f'select snapshot_id, committed_at from "{name}$snapshots" order by 2')[-2]
        for name in SESSION_TABLES
    }
    rows = {
        name: engines.on_athena(f"select * from {name} for version as of {first[name][0]}") for name in SESSION_TABLES
    }

    for name, figures in keep_up(engines).items():
        print(f"  {name}: {figures}")
        expect(figures["delete_files_before"] > 0, f"{name} had no delete files, so the upkeep shows nothing")
        expect(figures["delete_files_after"] == figures["deleted_rows_after"] == 0, f"{name} still has delete files")
        expect(figures["data_files_after"] < figures["data_files_before"], f"{name} has as many files as before")
        expect(figures["sessions_rewritten"] > 0 == figures["sessions_waiting"], f"{name} was not rewritten")
    compare(engines, MARTS)
    for name in SESSION_TABLES:
        number, at = first[name]
        for when in (f"version as of {number}", f"timestamp as of timestamp '{at}'"):
            found = engines.on_athena(f"select * from {name} for {when}")
            expect(Counter(found) == Counter(rows[name]) != Counter(), f"{name} for {when} is not what it was")
    print("  ✓ rewritten, and the snapshot before the last merge still reads as it did")

    for name in SESSION_TABLES:
        engines.wiring.athena.run(f"alter table {name} set tblproperties ('vacuum_max_snapshot_age_seconds' = '1')")
    objects = {name: len(keys_of(engines, name)) for name in SESSION_TABLES}
    for name, figures in keep_up(engines).items():
        expect(figures["snapshots_after"] == 1, f"VACUUM left {figures['snapshots_after']} snapshots of {name}")
        expect(figures["sessions_rewritten"] == 0, f"{name} was rewritten twice")
        left = len(keys_of(engines, name))
        expect(left < objects[name], f"VACUUM deleted no object of {name}")
        print(f"  ✓ {name}: VACUUM left {left} of {objects[name]} objects, and one snapshot")
        expect(
            fails(lambda name=name: engines.on_athena(f"select * from {name} for version as of {first[name][0]}")),
            f"a version of {name} is still there after VACUUM",
        )
    compare(engines, MARTS)


def keep_up(engines: TypedEngines) -> dict[str, dict[str, int]]:
    """Run the job as Dagster does; each table's figures."""
    result = iceberg_upkeep().execute_in_process(
        resources={"lake": LakeResource(environ=engines.settings.environ())},
        run_config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
        instance=dg.DagsterInstance.ephemeral(),
    )
    (output,) = [event for event in result.all_events if event.is_successful_output]
    return {name: dict(value.value) for name, value in output.step_output_data.metadata.items()}


def fails(query: Callable[[], Any]) -> bool:
    try:
        query()
    except PermanentError:
        return True
    return False


if __name__ == "__main__":
    main()
