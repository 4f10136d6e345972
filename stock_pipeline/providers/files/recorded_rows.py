"""The rows of a recorded session, whatever format its file has: trades, and what is none, in the file's order."""

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.files.checks import BadRow
from stock_pipeline.files.lake_rows import by_session, identified, lake_table
from stock_pipeline.files.reading import TradeFile
from stock_pipeline.trade_table import int64_values, trade_schema, trades_of_table


@dataclass(frozen=True)
class RecordedRows:
    """A file's rows, all of them in memory.

    trades: a table of `trade_schema`; its ingest times mean nothing.
    lines, bad_lines: numbers of the rows in the file, ascending.
    """

    feed: str
    trades: pa.Table
    lines: npt.NDArray[np.int64]
    bad: list[BadRow]

    def __len__(self) -> int:
        return len(self.lines) + len(self.bad)

    @classmethod
    def read(cls, file: TradeFile) -> "RecordedRows":
        """Read a file to its end; raises `InputFileError`."""
        frames: list[pl.DataFrame] = []
        bad: list[BadRow] = []
        for batch in file.batches():
            bad += batch.bad
            if batch.trades is not None and batch.trades.height:
                frames.append(batch.trades)
        bad.sort()
        if not frames:
            return cls(file.feed, trade_schema().empty_table(), np.empty(0, np.int64), bad)
        tables, lines = [], []
        for session_date, rows in by_session(pl.concat(frames)):
            with_ids = identified(rows, session_date)
            tables.append(lake_table(with_ids, session_date, 0))
            lines.append(with_ids["line"].to_numpy())
        order = np.argsort(np.concatenate(lines), kind="stable")
        return cls(file.feed, pa.concat_tables(tables).take(pa.array(order)), np.concatenate(lines)[order], bad)

    def page(self, first: int, end: int, ingest_time_ns: int) -> Capture:
        """Return the rows at these places of the file, `first <= place < end`."""
        places = self._places()
        start, stop = (int(np.searchsorted(places, place)) for place in (first, end))
        rows = trades_of_table(self.trades.slice(start, stop - start))
        bad = self.bad[first - start : end - stop]
        return Capture(
            tuple(replace(row, price=_shortest(row.price), ingest_time_ns=ingest_time_ns) for row in rows),
            tuple(UnreadablePayload(Reason.VALUE, row.reason, row.text.encode()) for row in bad),
            checkpoint=str(end),
        )

    def times_ns(self) -> npt.NDArray[np.int64]:
        """Return each row's time by its place in the file; a row that is no trade has that of the trade before it."""
        if not len(self.lines):
            return np.zeros(len(self.bad), np.int64)
        before = np.searchsorted(self._places(), np.arange(len(self)), side="right") - 1
        return int64_values(self.trades["event_time_ns"])[np.maximum(before, 0)]

    def _places(self) -> npt.NDArray[np.int64]:
        """Return the place of each trade among all rows of the file."""
        bad_lines = np.array([row.line for row in self.bad], np.int64)
        return np.arange(len(self.lines)) + np.searchsorted(bad_lines, self.lines)


def _shortest(price: Decimal) -> Decimal:
    """Return the price with as few digits as it has, because a column pads them."""
    whole = int(price)
    return Decimal(whole) if whole == price else price.normalize()


def recorded_rows(path: Path, feed: str = "") -> RecordedRows:
    """Return the rows of a file of any known format. feed: in place of the format's."""
    return RecordedRows.read(TradeFile.open(path, feed=feed))
