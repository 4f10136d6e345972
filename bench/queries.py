"""`make bench-queries`: what the three example queries read of a generated session, raw and compacted.

Athena's API runs them, on a stand-in or in an account, and says how many bytes it fetched. DuckDB and polars run them
over the same files on disk; of them CPU seconds are told, and their answers must have as many rows.

In an account: AWS credentials, BUCKET_NAME and DATABASE_NAME. Objects stay below `bench-queries/`.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import boto3
import duckdb
import polars as pl
import pyarrow.parquet as pq

from bench.compaction.contender_run import run_contender
from bench.generated_session import GeneratedSession, day_of
from stock_pipeline.aws.athena import Athena
from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.settings import Settings

RESULTS = Path(__file__).parent / "results" / "queries.json"
BOUNDS = Path(__file__).parent / "query_bounds.json"

DAYS = [(50_000, 144), (500_000, 144), (5_000_000, 1_440)]

RAW, COMPACTED = "raw", "compacted"

QUERIES = {
    "one symbol's day": "SELECT event_time, price FROM trades WHERE symbol = '{symbol}' ORDER BY event_time",
    "daily average": "SELECT symbol, AVG(price) AS avg_price FROM trades GROUP BY symbol",
    "top volume": "SELECT symbol, SUM(volume) AS total_volume FROM trades GROUP BY symbol "
    "ORDER BY total_volume DESC LIMIT 5",
}


class Result(NamedTuple):
    """Figures of one query: of one symbol's day of a compacted session medians over three symbols: large, middle and
    small.

    requests: for objects, on S3; None without a log of them.
    """

    rows: int
    files: int
    layout: str
    query: str
    file_bytes: int
    footer_bytes: int
    fetched_bytes: int
    requests: int | None
    athena_seconds: float
    duckdb_cpu_seconds: float
    polars_cpu_seconds: float


class Bound(NamedTuple):
    """Bytes that a query of a compacted session may fetch at most."""

    rows: int
    query: str
    most_bytes: int
    reason: str


@dataclass(frozen=True)
class Engine:
    """Athena, and the S3 that it reads.

    log: the S3 server's, a line for each request.
    """

    athena: Athena
    catalog: GlueCatalog
    store: ObjectStore
    log: Path | None = None

    @classmethod
    def of(cls, settings: Settings, log: Path | None = None) -> "Engine":
        session = boto3.Session(region_name=settings.aws_region)
        output = f"s3://{settings.bucket_name}/athena-results/"
        return cls(
            Athena(
                session.client("athena"), settings.athena_workgroup, settings.database_name, time.sleep, output, 1_000
            ),
            GlueCatalog(session.client("glue"), settings.database_name, settings.bucket_name),
            ObjectStore(session.client("s3"), settings.bucket_name),
            log,
        )

    def upload(self, prefix: str, paths: Iterable[Path]) -> None:
        for number, path in enumerate(paths):
            self.store.put(f"{prefix}{number:05}.parquet", path.read_bytes())

    def requests(self, prefix: str) -> int | None:
        return len(re.findall(rf"GET /\S*{prefix}\S+\.parquet", self.log.read_text())) if self.log else None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench-queries", description=__doc__)
    parser.add_argument("--days", nargs="+", type=day_of, default=DAYS, metavar="ROWSxFILES")
    parser.add_argument("--scratch", type=Path, help="where the session goes")
    parser.add_argument("--log", type=Path, help="log of the S3 server, whose requests are counted")
    options = parser.parse_args(arguments)
    engine = Engine.of(settings_of(os.environ), options.log)
    results: list[Result] = []
    for rows, files in options.days:
        measured = measure(engine, GeneratedSession(rows, files), (RAW, COMPACTED), options.scratch)
        print_table(measured)
        results += measured
    RESULTS.write_text(json.dumps([result._asdict() for result in results], indent=1) + "\n")
    print(f"written to {RESULTS}")
    return 1 if broken_bounds(results) else 0


def settings_of(environ: Mapping[str, str]) -> Settings:
    if not environ.keys() & {"AWS_ENDPOINT_URL_ATHENA", "BUCKET_NAME"}:
        sys.exit("nothing to run the queries on: start a stand-in for Athena, or set BUCKET_NAME and DATABASE_NAME")
    bucket = environ.get("ATHENA_CHECK_BUCKET", "")
    return Settings.from_env({"DATABASE_NAME": "bench_queries", "BUCKET_NAME": bucket, **environ})


def measure(engine: Engine, session: GeneratedSession, layouts: Sequence[str], scratch: Path | None) -> list[Result]:
    engine.catalog.create()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        day, compacted = Path(folder) / "day", Path(folder) / "compacted.parquet"
        session.write(day)
        run_contender("this_project", day, compacted)
        paths = {RAW: sorted((day / "raw").rglob("*.parquet")), COMPACTED: [compacted]}
        return [result for layout in layouts for result in measure_layout(engine, session, layout, paths[layout])]


def measure_layout(engine: Engine, session: GeneratedSession, layout: str, paths: Sequence[Path]) -> list[Result]:
    table, prefix = f"bench_{session.rows}_{layout}", f"bench-queries/{session.rows}-{session.files}-{layout}/"
    engine.upload(prefix, paths)
    engine.catalog.create_scratch(table, {layout: engine.store.uri(prefix)})
    names = session.symbol_names().tolist()
    # raw files hold all symbols, so that it is the same which one is asked for
    asked = [names[0], names[len(names) // 2], names[-1]] if layout == COMPACTED else [names[len(names) // 2]]
    results = []
    for query, text in QUERIES.items():
        statements = [text.format(symbol=symbol) for symbol in asked] if "{symbol}" in text else [text]
        runs = [ask(engine, table, prefix, sql, paths) for sql in statements]
        fetched, requests, *seconds = (statistics.median(column) for column in zip(*runs, strict=True))
        results.append(
            Result(
                session.rows,
                session.files,
                layout,
                query,
                sum(path.stat().st_size for path in paths),
                sum(pq.read_metadata(path).serialized_size for path in paths),
                int(fetched),
                int(requests) if engine.log else None,
                *(round(each, 3) for each in seconds),
            )
        )
    engine.catalog.drop_scratch(table)
    return results


def ask(engine: Engine, table: str, prefix: str, sql: str, paths: Sequence[Path]) -> tuple[float, ...]:
    """Return bytes and requests of Athena, its seconds, and CPU seconds of DuckDB and of polars."""
    before, began = engine.requests(prefix), time.monotonic()
    fetched = engine.athena.run(sql.replace("FROM trades", f"FROM {table}"))
    seconds = time.monotonic() - began
    requests = (engine.requests(prefix) or 0) - (before or 0)
    found: dict[str, int] = {}
    cpu_seconds = []
    for name, run in (("duckdb", on_duckdb), ("polars", on_polars)):
        began = time.process_time()
        found[name] = run(sql, paths)
        cpu_seconds.append(time.process_time() - began)
    if len(set(found.values())) > 1:
        sys.exit(f"{sql}: the answers have different numbers of rows, so no figure counts: {found}")
    return fetched, requests, seconds, *cpu_seconds


def on_duckdb(sql: str, paths: Sequence[Path]) -> int:
    with duckdb.connect() as connection:
        connection.read_parquet([str(path) for path in paths]).create_view("trades")
        return len(connection.execute(sql).fetchall())


def on_polars(sql: str, paths: Sequence[Path]) -> int:
    rows = pl.scan_parquet(list(paths), hive_partitioning=False, glob=False)
    return pl.SQLContext(trades=rows).execute(sql, eager=True).height


def bounds() -> list[Bound]:
    return [Bound(**bound) for bound in json.loads(BOUNDS.read_text())]


def broken_bounds(results: Iterable[Result]) -> list[str]:
    """Return a sentence for each query of a compacted session that fetched more than it may."""
    most = {(bound.rows, bound.query): bound for bound in bounds()}
    return [
        f"{each.query} of {each.rows:,} rows fetched {each.fetched_bytes:,} bytes, at most {bound.most_bytes:,} are "
        f"right: {bound.reason}"
        for each in results
        if each.layout == COMPACTED
        and (bound := most.get((each.rows, each.query)))
        and each.fetched_bytes > bound.most_bytes
    ]


def print_table(results: Sequence[Result]) -> None:
    print("| " + " | ".join(Result._fields) + " |")
    print("| --- " * len(Result._fields) + "|")
    for each in results:
        print("| " + " | ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in each) + " |")
    for sentence in broken_bounds(results):
        print(sentence)


if __name__ == "__main__":
    sys.exit(main())
