"""Raw files as the processor puts them into a lake of any kind, and the rows of a lake's Parquet files."""

import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from stock_pipeline.domain.lake_layout import raw_key
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.raw_file_gate import conformed
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades, trades_of_table
from tests.support.trades import trade_on


class Store(Protocol):
    def put(self, key: str, body: bytes) -> None: ...


def raw_file_key(session_date: date, number: int) -> str:
    return raw_key(session_date, "shardId-000000000000", str(number), str(number), f"{number:016x}")


def put_raw_file(store: Store, session_date: date, number: int, rows: Sequence[Trade] | None = None) -> str:
    """Put the session's `number`-th raw file with these rows, or its `number`-th trade; return the key."""
    key = raw_file_key(session_date, number)
    store.put(key, parquet_bytes(table_of_trades([trade_on(session_date, number)] if rows is None else rows)))
    return key


def read_trades(file: bytes | Path) -> list[Trade]:
    """The rows of a raw file or data file, in its order, with its columns found by name."""
    table = pq.read_table(io.BytesIO(file) if isinstance(file, bytes) else file)
    return trades_of_table(conformed(table))
