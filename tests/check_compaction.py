"""Compact one session by Athena and by this machine, and compare every row; a part of `make check-engines`.

Against an account: `python -m tests.check_compaction` with AWS credentials, BUCKET_NAME and DATABASE_NAME set to an
empty bucket and to a Glue database that does not exist yet; both keep what it writes.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.aws.athena import Athena
from stock_pipeline.aws.athena_compaction import AthenaEngine
from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.lake_layout import head_key, raw_key
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.trade import FIELDS, Trade, shares_of
from stock_pipeline.errors import UnreadableInputError
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.sql_engine import SqlEngine
from stock_pipeline.lake.unpublished_sessions import UnpublishedSessions
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.raw_files import content_hash, parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.support.judge import is_judged
from tests.support.oracle import winning_trades
from tests.support.random_trades import random_trades
from tests.support.trades import trade

SESSION = date(2018, 1, 3)
LISTS_BYTES = 10_000
"""At most read of the lists of raw files, which have a table of their own."""

COMPARED = [name for name in FIELDS if name != "ingest_time_ns"]


def as_compared(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row's values with its volume in shares, of which the lake keeps whole and parts apart."""
    *values, fraction = row
    of = dict(zip(COMPARED, values, strict=True))
    whole = of["volume"]
    return tuple((of | {"volume": whole if whole is None else shares_of(whole, fraction)}).values())


@dataclass(frozen=True)
class MeasuredAthena(Athena):
    """Athena that remembers what its statements read."""

    scanned: list[int] = field(default_factory=list)

    def _finished(self, sql: str) -> tuple[str, int]:
        query_id, scanned = super()._finished(sql)
        self.scanned.append(scanned)
        return query_id, scanned


@dataclass
class Check:
    settings: Settings
    files: int = 0
    rows: list[Trade] = field(default_factory=list)

    def __post_init__(self) -> None:
        session = boto3.Session(region_name=self.settings.aws_region)
        self.glue = session.client("glue")
        self.catalog = GlueCatalog(self.glue, self.settings.database_name, self.settings.bucket_name)
        self.store = ObjectStore(session.client("s3"), self.settings.bucket_name)
        output = f"s3://{self.settings.bucket_name}/athena-results/"
        athena = session.client("athena")
        self.athena = MeasuredAthena(
            athena, self.settings.athena_workgroup, self.settings.database_name, time.sleep, output, polls=1_000
        )

    def compactor(self, by_athena: bool) -> Compactor:
        return Compactor(
            self.store, self.catalog, lambda: datetime.now(UTC), sql_queries=self.queries if by_athena else None
        )

    @property
    def queries(self) -> AthenaEngine:
        return AthenaEngine(self.athena, self.catalog, self.store, lambda: datetime.now(UTC))

    def arrive(self, rows: Sequence[Trade], belongs: bool = True) -> str:
        if belongs:
            self.rows += rows
        return self.store_raw(parquet_bytes(table_of_trades(rows)))

    def arrive_retyped(self, rows: Sequence[Trade], column: str, kind: pa.DataType) -> str:
        table = table_of_trades(rows)
        place = table.schema.names.index(column)
        sink = pa.BufferOutputStream()
        pq.write_table(table.set_column(place, column, table[column].cast(kind)), sink)
        return self.store_raw(sink.getvalue().to_pybytes())

    def store_raw(self, body: bytes) -> str:
        self.files += 1
        key = raw_key(SESSION, "shardId-000000000000", str(self.files), str(self.files), content_hash(body))
        self.store.put(key, body)
        return key

    def compact(self, by_athena: bool, allow_missing: bool = False) -> None:
        compactor = self.compactor(by_athena)
        plan = compactor.plan(SESSION, allow_missing)
        reckoned = SqlEngine(self.store, self.queries, {}).bytes_to_read(plan)
        self.athena.scanned.clear()
        report = compactor.compact(SESSION, allow_missing)
        most = max(self.athena.scanned, default=0)
        if most > reckoned + LISTS_BYTES:
            sys.exit(f"a statement read {most:,} bytes, {reckoned:,} were reckoned with")
        print(f"  {most:,} bytes read by one statement at most, {reckoned:,} were reckoned with")
        assert report.published
        assert report.rows_in == report.rows_out + report.duplicates
        self.compare(f"{report.rows_in:,} rows in, {report.rows_out:,} out")

    def compare(self, what: str) -> None:
        """Compare what Athena's readers see with the rule applied row by row."""
        names = ", ".join([*COMPARED, "volume_fraction"])
        sql = f"SELECT {names} FROM trades WHERE year = 2018 AND month = 1 AND day = 3"
        found = sorted(map(as_compared, self.athena.query(sql).rows), key=str)
        wanted = sorted((tuple(getattr(one, name) for name in COMPARED) for one in winning_trades(self.rows)), key=str)
        if found != wanted:
            different = [pair for pair in zip(found, wanted, strict=False) if pair[0] != pair[1]][:3]
            sys.exit(f"{what}: {len(found)} rows, {len(wanted)} wanted; for example {different}")
        print(f"  ✓ {what}: the winning rows")

    def scratch_tables(self) -> list[str]:
        tables = self.glue.get_tables(DatabaseName=self.settings.database_name)["TableList"]
        return [table["Name"] for table in tables if table["Name"].startswith("compaction_")]


def of_session(rows: Sequence[Trade]) -> list[Trade]:
    return [one for one in rows if session_date_of(one.event_time_ns) == SESSION]


def check(work: Check) -> None:
    work.catalog.create()
    rows = of_session(random_trades(3_000, seed=5))
    for start in range(0, len(rows), 500):
        work.arrive(rows[start : start + 500])
    stranger = work.arrive([trade(1)], belongs=False)  # of the day before
    print("Compact by Athena: a file of another session is named, and left out where that is allowed")
    try:
        work.compactor(by_athena=True).compact(SESSION)
        sys.exit("a file of another session was taken for one of this")
    except UnreadableInputError as error:
        if stranger not in str(error):
            sys.exit(f"{stranger} is not named: {error}")
    if is_judged("unreadable files"):
        check_other_types(work, rows, stranger)
    work.compact(by_athena=True, allow_missing=True)
    print("Late files on top of it: by Athena, by this machine, by Athena again")
    for seed, by_athena in ((6, True), (7, False), (8, True)):
        work.arrive(of_session(random_trades(500, seed)))
        work.compact(by_athena)
    report = work.compactor(by_athena=True).compact(SESSION)
    assert not report.published, "compacting twice published twice"
    print("The head is lost: the catalog is rebuilt from the manifests")
    work.store.delete([head_key(SESSION)])
    unpublished = UnpublishedSessions(work.store, work.catalog, lambda: datetime.now(UTC))
    rebuilt = CatalogRebuild(work.store, work.catalog, lambda: datetime.now(UTC), unpublished).run()
    assert (rebuilt.sessions, rebuilt.heads) == (1, 1), rebuilt
    work.compare("rebuilt")
    if work.scratch_tables():
        sys.exit(f"scratch tables are left: {work.scratch_tables()}")


def check_other_types(work: Check, rows: Sequence[Trade], stranger: str) -> None:
    print("Files whose columns have other types: named, though the engine may name none")
    strange = [
        work.arrive_retyped(rows[:3], "volume", pa.string()),
        work.arrive_retyped(rows[:3], "price", pa.float64()),
    ]
    try:
        work.compactor(by_athena=True).compact(SESSION)
        sys.exit("files of other types were read")
    except UnreadableInputError as error:
        if not all(key in str(error) for key in (stranger, *strange)):
            sys.exit(f"{strange} are not named: {error}")


def main() -> None:
    environ = {"DATABASE_NAME": "compaction_check", **os.environ}
    environ.setdefault("BUCKET_NAME", environ.get("ATHENA_CHECK_BUCKET", ""))
    check(Check(Settings.from_env(environ)))


if __name__ == "__main__":
    main()
