"""Replay: a recorded session from a Parquet file, as trades.

The file's schema is that of the sample session (`sample/README.md`): event_time, symbol, price, size, exchange,
sale_condition, correction, sequence. Rows that can't be trades are handed over as unreadable, with the row as JSON.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.trade import PRICE_SCALE, Trade, check_trade, provider_event_id
from stock_pipeline.errors import InputFileError, InvalidTradeError

PAGE_ROWS = 5_000

COLUMNS = ("event_time", "symbol", "price", "size", "exchange", "sale_condition", "correction", "sequence")

STATUS_OF_CORRECTION = {
    "0": "good",
    "1": "corrected",
    "7": "cancelled",
    "8": "cancelled",
    "10": "notice",
    "11": "notice",
    "12": "notice",
}
"""TAQ's correction indicator: 1 is a trade that was later corrected and carries the corrected values; 7 and 8 are
trades later marked as an error or cancelled; 10 to 12 are the tape's messages about them (12 with the values that were
wrong), which execute nothing."""


@dataclass(frozen=True)
class ReplayFile:
    """A recorded session. `feed` is what its rows are marked with; `now_ns` stamps their ingest time."""

    path: Path
    now_ns: Callable[[], int]
    feed: str = "taq"

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Pages of the file from the row number in `checkpoint` on, until the end or the deadline."""
        table = read_session_file(self.path)
        start = int(checkpoint) if checkpoint else 0
        while start < table.num_rows and self.now_ns() < deadline_ns:
            yield self._page(table.slice(start, PAGE_ROWS), start)
            start += PAGE_ROWS

    def _page(self, rows: pa.Table, start: int) -> Capture:
        ingest_time_ns = self.now_ns()
        trades: list[Trade] = []
        unreadable: list[UnreadablePayload] = []
        for row in rows.to_pylist():
            try:
                trades.append(trade_of_row(row, self.feed, ingest_time_ns))
            except InvalidTradeError as error:
                payload = json.dumps(row, default=str).encode()
                unreadable.append(UnreadablePayload(Reason(error.reason), error.detail, payload))
        return Capture(tuple(trades), tuple(unreadable), checkpoint=str(start + rows.num_rows))


def read_session_file(path: Path) -> pa.Table:
    """The columns of a session file, event_time as int64 nanoseconds UTC; `InputFileError` if it is none."""
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        raise InputFileError(f"{path} does not exist") from None
    except (pa.ArrowException, OSError) as error:
        raise InputFileError(f"{path} is no Parquet file that can be read: {error}") from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputFileError(f"{path} lacks {', '.join(missing)}; a session file has {', '.join(COLUMNS)}")
    table = table.select(COLUMNS)
    event_time = table.schema.field("event_time").type
    if not pa.types.is_timestamp(event_time) or event_time.tz is None:
        raise InputFileError(f"{path}: event_time is {event_time}; it takes timestamps with a time zone (UTC)")
    nanoseconds = pc.cast(table["event_time"], pa.timestamp("ns", tz="UTC")).cast(pa.int64())
    table = table.set_column(0, "event_time", nanoseconds)
    for name in ("size", "sequence"):
        if not pa.types.is_integer(table.schema.field(name).type):
            raise InputFileError(f"{path}: {name} is {table.schema.field(name).type}; it takes whole numbers")
    _check_sequence_is_a_key(path, table)
    return table


def trade_of_row(row: dict[str, Any], feed: str, ingest_time_ns: int) -> Trade:
    """The trade in one row; `InvalidTradeError` if it is none.

    The row's place in the source file is the only key that a recorded session has, so identity is made of it.
    """
    if row["event_time"] is None or row["sequence"] is None or not row["symbol"]:
        raise InvalidTradeError(Reason.VALUE, "event_time, sequence or symbol is null")
    symbol = str(row["symbol"]).replace(" ", ".")
    exchange = (row["exchange"] or "").strip()
    session_date = session_date_of(row["event_time"])
    trade = Trade(
        event_id=provider_event_id(feed, symbol, session_date, exchange, row["sequence"]),
        feed=feed,
        capture_mode="trade",
        symbol=symbol,
        event_time_ns=row["event_time"],
        sequence=row["sequence"],
        price=_price(row["price"]),
        volume=row["size"],
        exchange=exchange,
        conditions=(row["sale_condition"] or "").replace(" ", ""),
        tape="",
        status=_status(row["correction"]),
        version=0,
        ingest_time_ns=ingest_time_ns,
    )
    check_trade(trade)
    return trade


def _price(value: Any) -> Decimal:
    """Exact for every price of up to 6 decimals that a double can hold."""
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidTradeError(Reason.VALUE, f"price {value} is not a number")
    return Decimal(repr(round(value, PRICE_SCALE)))


def _status(correction: Any) -> str:
    code = "0" if correction is None else str(correction).strip().lstrip("0") or "0"
    status = STATUS_OF_CORRECTION.get(code)
    if status is None:
        known = ", ".join(STATUS_OF_CORRECTION)
        raise InvalidTradeError(Reason.VALUE, f"correction {correction!r} is none of {known}")
    return status


def _check_sequence_is_a_key(path: Path, table: pa.Table) -> None:
    keys = table.group_by(["symbol", "sequence"]).aggregate([([], "count_all")])
    if keys.num_rows < table.num_rows:
        repeated = keys.filter(pc.greater(keys["count_all"], 1)).slice(0, 1).to_pylist()[0]
        raise InputFileError(
            f"{path}: symbol {repeated['symbol']} has sequence {repeated['sequence']} {repeated['count_all']} times; "
            "every row of a symbol needs its own, or real trades could not be told from repeats"
        )
