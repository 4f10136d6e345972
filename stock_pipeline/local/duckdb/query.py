"""A query on the local models and the lake. It reads a copy, so that it waits for nobody, and nobody for it."""

import shutil
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import boto3
import duckdb
import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from stock_pipeline.aws.athena import Answer
from stock_pipeline.domain.reading_sql import check_reads
from stock_pipeline.errors import InputFileError, PermanentError, RetryableError
from stock_pipeline.local.duckdb.catalog import connect_lake
from stock_pipeline.local.duckdb.connection import connected
from stock_pipeline.project_files import KEPT_LAKE
from stock_pipeline.settings import Settings


def query_duckdb(settings: Settings, sql: str, note: Callable[[str], None]) -> Answer:
    """Run one statement that reads, and return its rows.

    Without the lake the tables that dbt built still answer, and `note` gets the reason. While dbt writes, the models
    answer as they were at the query before. Raises `RetryableError` if there was none.
    """
    _check(sql)
    source = Path(settings.duckdb_path)
    if not source.is_file():
        raise InputFileError(f"{source} does not exist: build the models first, or set DUCKDB_PATH")
    with tempfile.TemporaryDirectory(prefix="query-") as folder:
        copy = Path(folder) / source.name  # views name the database by its file
        shutil.copyfile(_snapshot(source, note), copy)
        with connected(copy) as connection:
            try:
                if not _is_kept(source):
                    session = boto3.Session(region_name=settings.aws_region)
                    connect_lake(connection, session, settings.bucket_name, settings.database_name)
            except (BotoCoreError, ClientError, PermanentError) as error:
                note(f"the lake can't be reached, so only dbt's tables answer, not the views of trades: {error}")
            try:
                return _answer(connection.execute(sql).fetch_arrow_table())
            except duckdb.Error as error:
                raise PermanentError(f"DuckDB: {error}") from None
            except OverflowError:
                raise PermanentError("a date or time is not in the years 1 to 9999: cast it to VARCHAR") from None


def _is_kept(source: Path) -> bool:
    """Tell if the lake is files beside the database, whose views read them, as the demo leaves it."""
    return (source.parent / KEPT_LAKE).is_dir()


def _answer(table: pa.Table) -> Answer:
    """Return rows with DuckDB's types. Its sum of integers is a decimal without places; an interval is text.

    Athena tells intervals as text, and neither Parquet nor JSON has them.
    """
    columns = [
        [value if value is None else _plain(value) for value in column.to_pylist()]
        if _is_integer(column.type) or pa.types.is_interval(column.type)
        else column.to_pylist()
        for column in table.columns
    ]
    types = tuple(pa.string() if pa.types.is_interval(each) else each for each in table.schema.types)
    return Answer(tuple(table.column_names), list(zip(*columns, strict=True)), None, types)


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind) and kind.scale == 0)


def _plain(value: Decimal | pa.MonthDayNano) -> int | str:
    return int(value) if isinstance(value, Decimal) else interval_text(value.months, value.days, value.nanoseconds)


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    """Return an interval as Athena shows it: `1 02:03:04.500` of days and less, `1-6` of years and months."""
    milliseconds = days * 86_400_000 + round(nanoseconds / 1_000_000)
    seconds, rest = divmod(abs(milliseconds), 1_000)
    clock = f"{seconds // 86_400} {seconds // 3_600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
    parts = [f"{'-' * (months < 0)}{abs(months) // 12}-{abs(months) % 12}"] if months else []
    if milliseconds or not months:
        parts.append(f"{'-' * (milliseconds < 0)}{clock}")
    return " ".join(parts)


def _check(sql: str) -> None:
    statement = check_reads(sql)
    try:
        found = duckdb.extract_statements(statement)
    except duckdb.Error as error:
        raise PermanentError(f"DuckDB: {error}") from None
    if [str(each.type) for each in found] != ["StatementType.SELECT"]:
        raise PermanentError("query takes one statement, and only one that reads")


def _snapshot(source: Path, note: Callable[[str], None]) -> Path:
    """Return a copy of the file as it was when nobody wrote, beside it."""
    snapshot = source.with_name(f"{source.name}.readers")
    try:
        if source.with_name(f"{source.name}.wal").exists():
            duckdb.connect(str(source)).close()  # takes over what a killed writer left
        # the lock keeps writers out while the bytes are copied; dbt tries again for longer than that takes
        with duckdb.connect(str(source), read_only=True):
            if not snapshot.exists() or snapshot.stat().st_mtime_ns != source.stat().st_mtime_ns:
                with tempfile.TemporaryDirectory(prefix=f"{snapshot.name}-", dir=source.parent) as folder:
                    fresh = Path(folder) / snapshot.name
                    shutil.copy2(source, fresh)
                    fresh.replace(snapshot)
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise PermanentError(f"DuckDB: {error}") from None
        if not snapshot.exists():
            raise RetryableError(f"{source} is in use, perhaps by dbt: try again in a minute") from None
        note("dbt is writing; the models answer as they were at the query before")
    return snapshot
