"""Run the commands that ask Athena, on a session that Athena compacts; a part of `make check-engines`.

Against an account: `python -m tests.check_commands` with AWS credentials, BUCKET_NAME and DATABASE_NAME set to an empty
bucket and to a Glue database that does not exist yet; both keep what it writes.
"""

import io
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from stock_pipeline.aws.athena_ddl import view_query
from stock_pipeline.aws.catalog import CURATED_TABLE
from stock_pipeline.cli import main as stock_pipeline
from stock_pipeline.commands.query import FORMATS
from stock_pipeline.commands.smoke import in_catalog
from stock_pipeline.domain.lake_layout import head_key, raw_key
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.published_rows import published_findings
from stock_pipeline.lake.session_counts import count_curated, data_files
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.raw_files import content_hash, parquet_bytes
from stock_pipeline.streaming.smoke import marked_trade
from stock_pipeline.trade_table import table_of_trades
from stock_pipeline.wiring import Wiring
from tests.support.judge import is_judged
from tests.support.lake import winning_trades
from tests.support.random_trades import random_trades
from tests.support.steps import step
from tests.support.trades import NOON, trade

SESSION, OTHER = date(2018, 1, 3), date(2018, 1, 2)

QUESTION = """\
SELECT symbol, event_time, price, volume, conditions, version, session_date, volume > 100 AS large, year
FROM raw_trades
WHERE year = 2018 AND month = 1 AND day = 2 AND feed = 'sim'
ORDER BY event_id"""
"""Of rows at whole seconds, so that both engines have the same times."""

QUESTIONED = (
    trade(1),
    trade(2, conditions='A,"B'),
    trade(3, capture_mode="quote", volume=None),
    trade(4, volume=2**63 - 1, version=2, status="corrected"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DBT_TARGET": "athena", "ATHENA_COMPACTION_MEGABYTES": "0"}
        os.environ["DUCKDB_PATH"] = str(Path(folder) / "empty.duckdb")
        duckdb.connect(os.environ["DUCKDB_PATH"]).close()
        with Wiring.open(Settings.from_env(os.environ)) as wiring:
            check(wiring, Path(folder))


def check(wiring: Wiring, folder: Path) -> None:
    with step("catalog rebuild: makes database and tables"):
        run("catalog", "rebuild")
    rows = random_trades(900, seed=3)
    put(wiring, SESSION, rows, 1)
    put(wiring, OTHER, QUESTIONED, 2)
    if is_judged("unreadable files"):
        compact_beside_a_truncated_file(wiring, rows)
    else:
        with step("compact by Athena"):
            run("compact", "--session", SESSION.isoformat())
    winning = winning_trades(rows)
    with step("the check of published rows, and reconciliation's counts, on what Athena wrote"):
        findings = published_findings(wiring.partition(SESSION))
        expect(findings is not None and (findings.rows, findings.bad) == (len(winning), {}), findings)
        expect(counted(wiring, folder) == Counter(one.symbol for one in winning), "reconciliation counts other rows")
    with step("catalog rebuild: head and database are lost"):
        wiring.objects.delete([head_key(SESSION)])
        wiring.clients.glue.delete_database(Name=wiring.settings.database_name)
        run("catalog", "rebuild")
        ((found,),) = wiring.athena.query(f"SELECT count(*) FROM {CURATED_TABLE} WHERE year = 2018").rows
        expect(found == len(winning), f"{found} rows of {len(winning)} are back")
    with step("query: every format, on both engines"):
        for name in FORMATS:
            on_athena, on_duckdb = (answer(target, name, folder) for target in ("athena", "local"))
            expect(on_athena == on_duckdb, f"{name}: {on_athena!r} on Athena, {on_duckdb!r} on DuckDB")
    with step("smoke: its query finds the marked trade, and no other"):
        marked, missing = marked_trade("0" * 32, NOON), marked_trade("1" * 32, NOON)
        put(wiring, OTHER, [marked], 4)
        expect((in_catalog(wiring)(marked), in_catalog(wiring)(missing)) == (True, False), "the smoke check is blind")


def compact_beside_a_truncated_file(wiring: Wiring, rows: Sequence[Trade]) -> None:
    whole = parquet_bytes(table_of_trades(rows[:50]))
    truncated = put_bytes(wiring, SESSION, whole[: len(whole) // 2], 3)
    wiring.unpublished_sessions().refresh(raw_folders(wiring.objects))
    with step("compact by Athena: a truncated file is named, and left out where that is allowed"):
        refused = run("compact", "--session", SESSION.isoformat(), status=1)
        expect(truncated in refused, f"{truncated} is not named: {refused}")
        allowed = run("compact", "--session", SESSION.isoformat(), "--allow-missing")
        expect(f"without {truncated}" in allowed, allowed)
    with step("the view of the session, which is still registered as unpublished, reads no truncated file"):
        expect(SESSION in wiring.catalog.unpublished_sessions(), "the session is not registered")
        view = view_query(wiring.settings.database_name)
        ((found,),) = wiring.athena.query(f"SELECT count(*) FROM ({view}) WHERE year = 2018 AND day = 3").rows
        winning = [one for one in winning_trades(rows) if one.status != "cancelled"]
        expect(0 < found <= len(winning), f"the view shows {found} rows of {len(winning)}")


def put(wiring: Wiring, session_date: date, rows: Sequence[Trade], number: int) -> str:
    return put_bytes(wiring, session_date, parquet_bytes(table_of_trades(rows)), number)


def put_bytes(wiring: Wiring, session_date: date, body: bytes, number: int) -> str:
    key = raw_key(session_date, "shardId-000000000000", str(number), str(number), content_hash(body))
    wiring.objects.put(key, body)
    return key


def run(*arguments: str, status: int = 0) -> str:
    """Run a command of stock-pipeline, and return what it printed."""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        found = stock_pipeline(list(arguments))
    expect(found == status, f"stock-pipeline {' '.join(arguments)} ended with {found}: {printed.getvalue()}")
    return printed.getvalue()


def counted(wiring: Wiring, folder: Path) -> Counter[str]:
    """Return the rows of each symbol as reconciliation counts them."""
    location = wiring.catalog.published_location(SESSION)
    paths = []
    for number, key in enumerate(data_files(wiring.objects, str(location))):
        paths.append(folder / f"{number}.parquet")
        wiring.objects.download(key, paths[-1])
    return Counter({key.symbol: counts.rows for key, counts in count_curated(paths, capacity=20).items()})


def answer(target: str, name: str, folder: Path) -> object:
    """Return what `query` writes: its bytes, or the rows and types of a Parquet file."""
    os.environ["DBT_TARGET"] = target
    path = folder / f"{target}.{name}"
    run("query", QUESTION, "--format", name, "--output", str(path))
    if name != "parquet":
        return path.read_bytes()
    table = pq.read_table(path)
    return str(table.schema), table.to_pylist()


def expect(holds: bool, otherwise: object) -> None:
    if not holds:
        sys.exit(str(otherwise))


if __name__ == "__main__":
    main()
