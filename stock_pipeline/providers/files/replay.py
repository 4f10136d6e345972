"""Replay of a recorded session, as trades, at once or at its recorded speed.

Reading a file belongs to `session_file`. Rows that can't be trades are handed over as unreadable, as JSON.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade, check_trade, exact_shares, provider_event_id
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.files.corrections import STATUS_OF_CORRECTION
from stock_pipeline.providers.files.session_file import read_session_file

PAGE_ROWS = 5_000

TICK_SECONDS = 0.25
"""At a chosen speed, rows due within this time go out together."""

NANOSECONDS = 10**9

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True)
class ReplayFile:
    """Recorded session.

    feed: mark of its rows
    now_ns: stamps their ingest time
    speed: seconds of the session in one second (1 as recorded; None as fast as they are taken)
    wait: sleeps for seconds; needed with a speed only
    """

    path: Path
    now_ns: Callable[[], int]
    feed: str = "taq"
    speed: float | None = None
    wait: Callable[[float], None] | None = None

    def __post_init__(self) -> None:
        if self.speed is not None and (not 0 < self.speed < math.inf or self.wait is None):
            raise ValueError("a replay takes a speed above 0 and something to wait with, or neither")

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield pages from the row number in `checkpoint` on, until the end or the deadline.

        With a speed, the first row goes out at once, and every other one when it is due after it.
        """
        table = read_session_file(self.path, self.feed)
        start = int(checkpoint) if checkpoint else 0
        pages = _pages(start, table.num_rows) if self.speed is None else self._due_pages(table, start, deadline_ns)
        for first, end in pages:
            if self.now_ns() >= deadline_ns:
                return
            yield self._page(table.slice(first, end - first), first)

    def _due_pages(self, table: pa.Table, start: int, deadline_ns: int) -> Iterator[tuple[int, int]]:
        """Yield first and last row (exclusive) of each page once due; wait at most until the deadline."""
        assert self.speed is not None
        assert self.wait is not None
        due_ns = _due_after(table.slice(start), self.speed)
        began_ns = self.now_ns()
        done = 0
        while done < len(due_ns) and (now_ns := self.now_ns()) < deadline_ns:
            due = int(np.searchsorted(due_ns, now_ns - began_ns, side="right"))
            if due > done:
                end = min(due, done + PAGE_ROWS)
                yield start + done, start + end
                done = end
            else:
                seconds = max(TICK_SECONDS, (int(due_ns[done]) - (now_ns - began_ns)) / NANOSECONDS)
                self.wait(min(seconds, (deadline_ns - now_ns) / NANOSECONDS))

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


def trade_of_row(row: dict[str, Any], feed: str, ingest_time_ns: int) -> Trade:
    """Return the trade in one row; raises `InvalidTradeError`.

    Its identity is the row's place in the source file, because a recorded session has no other key.
    """
    if row["event_time"] is None or row["sequence"] is None or not row["symbol"]:
        raise InvalidTradeError(Reason.VALUE, "event_time, sequence or symbol is null")
    symbol = symbol_of(row["symbol"])
    exchange = (row["exchange"] or "").strip()
    session_date = feed_session_date(row["event_time"], feed)
    trade = Trade(
        event_id=provider_event_id(feed, symbol, session_date, exchange, row["sequence"]),
        feed=feed,
        capture_mode="trade",
        symbol=symbol,
        event_time_ns=row["event_time"],
        sequence=row["sequence"],
        price=_number("price", row["price"]),
        volume=exact_shares(_number("size", row["size"])),
        exchange=exchange,
        conditions=(row["sale_condition"] or "").replace(" ", ""),
        tape="",
        status=_status(row["correction"]),
        version=0,
        ingest_time_ns=ingest_time_ns,
    )
    check_trade(trade)
    return trade


def symbol_of(recorded: object) -> str:
    """Return the symbol without padding, with a dot for the blank before a class of shares."""
    return ".".join(str(recorded).split())


def _number(name: str, value: Any) -> Decimal:
    """Return the number of a text or decimal, or of a double by its shortest text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, Decimal):
        # as few digits as it has, because a decimal column pads them; `normalize` would round to 28
        digits = f"{value:f}"
        return Decimal(digits.rstrip("0").rstrip(".") if "." in digits else digits)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidTradeError(Reason.VALUE, f"{name} {str(value)[:40]} is not a number")
    return Decimal(repr(value))


def _status(correction: Any) -> str:
    code = "0" if correction is None else str(correction).strip().lstrip("0") or "0"
    status = STATUS_OF_CORRECTION.get(code)
    if status is None:
        known = ", ".join(filter(None, STATUS_OF_CORRECTION))
        raise InvalidTradeError(Reason.VALUE, f"correction {correction!r} is not one of {known}")
    return status


def _pages(start: int, rows: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + PAGE_ROWS, rows)) for first in range(start, rows, PAGE_ROWS))


def _due_after(rows: pa.Table, speed: float) -> npt.NDArray[np.int64]:
    """Return when rows go out, in nanoseconds after the first; late prints keep their recorded place."""
    if not rows.num_rows:
        return np.empty(0, np.int64)
    known = pc.fill_null_backward(pc.fill_null_forward(rows["event_time"]))
    recorded_ns = np.maximum.accumulate(pc.fill_null(known, 0).to_numpy())
    due_ns: npt.NDArray[np.int64] = np.minimum((recorded_ns - recorded_ns[0]) / speed, 2.0**62).astype(np.int64)
    return due_ns
