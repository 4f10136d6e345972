"""Names and columns of the lake's own tables, which Dagster shows beside the assets."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from stock_pipeline.domain.columns import Column
from stock_pipeline.domain.trade import COLUMNS, PARTITION_COLUMNS

_STATE = (
    ("symbol", "string", "the ticker symbol: the hash key"),
    ("feed", "string", "which feed the trades came from: the range key"),
    ("price", "number", "of the newest execution that is not cancelled, USD"),
    ("volume", "number", "shares of it"),
    ("event_time_ns", "number", "when it happened, nanoseconds since 1970, UTC"),
    ("session_date", "string", "its session"),
    ("last_eligible", "map", "what the tape takes for the last price"),
    ("sma_<n>", "number", "average of the newest n trades of the session, as MOVING_AVERAGE_WINDOWS says"),
    ("expires_at", "number", "when DynamoDB forgets the item"),
)
_RECONCILED = (
    ("symbol", "string", "the ticker symbol"),
    ("feed", "string", "which feed the trades came from"),
    ("delivered", "bigint", "rows in raw files, repeats included"),
    ("trades_in_raw_files", "bigint", "different trades in them"),
    ("published", "bigint", "rows of the published version"),
    ("in_realtime_table", "bigint", "newest trades in the realtime table"),
)


def trades_metadata(database: str, table: str) -> dict[str, Any]:
    """Return the metadata of a table of trades."""
    return _metadata(f"{database}.{table}", _of_catalog((*COLUMNS, *PARTITION_COLUMNS)))


def state_metadata(table: str) -> dict[str, Any]:
    return _metadata(table, _named(_STATE))


def reconciliation_metadata() -> dict[str, Any]:
    """Return the figures' columns; there is no table, so no name."""
    return {"dagster/column_schema": dg.TableSchema(columns=_named(_RECONCILED))}


def _metadata(name: str, columns: list[dg.TableColumn]) -> dict[str, Any]:
    return {"dagster/table_name": name, "dagster/column_schema": dg.TableSchema(columns=columns)}


def _of_catalog(columns: Iterable[Column]) -> list[dg.TableColumn]:
    return [dg.TableColumn(column.name, column.sql_type, description=column.description) for column in columns]


def _named(columns: Iterable[tuple[str, str, str]]) -> list[dg.TableColumn]:
    return [dg.TableColumn(name, kind, description=text) for name, kind, text in columns]
