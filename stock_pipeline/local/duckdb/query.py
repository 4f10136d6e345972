"""A query on the local DuckDB file, with the lake's tables where the lake can be reached."""

from collections.abc import Callable
from pathlib import Path

import boto3
import duckdb
from botocore.exceptions import BotoCoreError, ClientError

from stock_pipeline.aws.athena import Answer
from stock_pipeline.errors import InputFileError, PermanentError, RetryableError
from stock_pipeline.local.duckdb.catalog import connect_lake
from stock_pipeline.settings import Settings


def query_duckdb(settings: Settings, sql: str, note: Callable[[str], None]) -> Answer:
    """Run the statement and return its rows.

    Without the lake the tables that dbt built still answer, and `note` gets the reason. Raises `RetryableError` while
    another process has the file.
    """
    if not Path(settings.duckdb_path).is_file():
        raise InputFileError(f"{settings.duckdb_path} does not exist: build the models first, or set DUCKDB_PATH")
    try:
        opened = duckdb.connect(settings.duckdb_path)
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise PermanentError(f"DuckDB: {error}") from None
        raise RetryableError(f"{settings.duckdb_path} is in use, perhaps by dbt: try again in a minute") from None
    with opened as connection:
        try:
            session = boto3.Session(region_name=settings.aws_region)
            connect_lake(connection, session, settings.bucket_name, settings.database_name)
        except (BotoCoreError, ClientError, PermanentError) as error:
            note(f"the lake can't be reached, so only dbt's tables answer, not the views of trades: {error}")
        try:
            cursor = connection.execute(sql)
        except duckdb.Error as error:
            raise PermanentError(f"DuckDB: {error}") from None
        columns = tuple(column[0] for column in cursor.description or ())
        return Answer(columns, cursor.fetchall(), None)
