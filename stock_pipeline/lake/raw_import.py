"""Writes rows of files into the raw zone, sorted, a session at a time, without the stream.

Rows are spilled to disk by session first, so that memory does not grow with the file. An object's name is made of its
rows, without their ingest time: a run that was killed and is started again writes what is missing, and nothing twice.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import polars as pl
import pyarrow as pa

from stock_pipeline.domain.lake_layout import IMPORT, raw_key, reopened_key
from stock_pipeline.domain.trade import LAKE_ORDER, SHARE_PARTS
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.trade_table import session_days, trade_schema

ROWS_A_FILE = 1_000_000
VERSION_OF_STATUS = {"good": 0, "notice": 0, "corrected": 1, "cancelled": 4}
"""As Alpaca's rows have them, so that a later file's correction of a trade wins over the trade as it was reported."""

_EPOCH = date(1970, 1, 1)
_EXECUTION = ("event_time_ns", "price", "volume")


class SessionReport(NamedTuple):
    """What was, or would be, written of one session. repeats: rows beyond the first of an event id."""

    session_date: date
    rows: int
    repeats: int
    symbols: int
    files: int
    written: int
    first_ns: int
    last_ns: int


@dataclass
class RawImport:
    """`add` all rows of a file, then `write` each of `sessions`.

    folder: an empty one, for spilled rows.
    encode: a table of `trade_schema` as Parquet.
    """

    lake: Lake
    encode: Callable[[pa.Table], bytes]
    folder: Path
    ingest_time_ns: int
    rows_a_file: int = ROWS_A_FILE
    _parts: dict[date, list[Path]] = field(default_factory=dict)
    _rows: dict[date, int] = field(default_factory=dict)

    @property
    def sessions(self) -> list[date]:
        return sorted(self._parts)

    def add(self, trades: pl.DataFrame) -> None:
        """Spill rows of `files.checks.Batch`."""
        feeds = trades["feed"].to_arrow(compat_level=pl.CompatLevel.oldest())
        days = pl.Series("session_day", session_days(trades["event_time_ns"].to_numpy(), feeds))
        for (day,), rows in trades.with_columns(days).group_by("session_day", maintain_order=True):
            session_date = _EPOCH + timedelta(days=day)
            parts = self._parts.setdefault(session_date, [])
            path = self.folder / f"{session_date}-{len(parts):06}.arrow"
            rows.drop("session_day").write_ipc(path)
            parts.append(path)
            self._rows[session_date] = self._rows.get(session_date, 0) + rows.height

    def write(self, session_date: date, dry_run: bool = False) -> SessionReport:
        """Write the session's files, and let compaction look at it again; a dry run only counts."""
        buckets = -(-self._rows[session_date] // self.rows_a_file)
        report = SessionReport(session_date, 0, 0, 0, 0, 0, 2**63 - 1, 0)
        if not dry_run:
            self.lake.put(reopened_key(session_date), b"")
        for bucket in range(buckets):
            rows = _identified(self._bucket(session_date, bucket, buckets), session_date)
            if not rows.height:
                continue
            written = False if dry_run else self._put(rows, session_date, bucket)
            times = rows.select(pl.col("event_time_ns").min().alias("first"), pl.col("event_time_ns").max()).row(0)
            report = SessionReport(
                session_date,
                report.rows + rows.height,
                report.repeats + rows.height - rows["event_id"].n_unique(),
                report.symbols + rows["symbol"].n_unique(),
                report.files + 1,
                report.written + written,
                min(report.first_ns, *times),
                max(report.last_ns, *times),
            )
        if not dry_run:
            # again, because the time of the last of the two is after the last file
            self.lake.put(reopened_key(session_date), b"")
        return report

    def _bucket(self, session_date: date, bucket: int, buckets: int) -> pl.DataFrame:
        """Read the rows of one bucket of symbols, in the file's order."""
        if buckets == 1:
            return pl.concat([pl.read_ipc(path) for path in self._parts[session_date]])
        pieces = []
        for path in self._parts[session_date]:
            rows = pl.read_ipc(path)
            inside = [name for name in rows["symbol"].unique().to_list() if crc32(name.encode()) % buckets == bucket]
            pieces.append(rows.filter(pl.col("symbol").is_in(inside)))
        return pl.concat(pieces)

    def _put(self, rows: pl.DataFrame, session_date: date, bucket: int) -> bool:
        content = io.BytesIO()
        rows.drop("line").write_ipc(content)
        name = hashlib.sha256(content.getbuffer()).hexdigest()[:16]
        key = raw_key(session_date, IMPORT, str(bucket), str(rows.height), name)
        return self.lake.put_if_absent(key, self.encode(_lake_table(rows, session_date, self.ingest_time_ns)))


def _identified(trades: pl.DataFrame, session_date: date) -> pl.DataFrame:
    """Give each row its event id and sequence, and sort as the lake does.

    An id that other executions of the session have too is no key, such as a sequence 0 in all rows. Those rows, and
    rows without an id, get one of their values and their place among equal rows, as `derived_event_id` has it.
    """
    rows = trades.sort("symbol", "event_time_ns", maintain_order=True)
    given = pl.concat_str(
        "feed",
        "symbol",
        pl.lit(f"{session_date:%Y%m%d}"),
        "exchange",
        pl.col("trade_id"),
        separator=":",
    )
    rows = rows.with_columns(event_id=given)
    repeated = rows.filter(pl.col("event_id").is_not_null() & pl.col("event_id").is_duplicated())
    several = (
        repeated.filter(pl.col("status") == "good")
        .select("event_id", *_EXECUTION)
        .unique()
        .filter(pl.col("event_id").is_duplicated())["event_id"]
        .unique()
    )
    no_key = pl.col("event_id").is_null() | pl.col("event_id").is_in(several.implode())
    if not rows.select(no_key.any()).item():
        return rows.drop("trade_id").sort(LAKE_ORDER)
    price, volume = (pl.col(name).cast(pl.String).str.replace(r"\.?0+$", "") for name in ("price", "volume"))
    ordinal = pl.int_range(pl.len()).over("symbol", *_EXECUTION, no_key)
    derived = pl.concat_str("feed", "symbol", "event_time_ns", price, volume, ordinal, separator=":")
    place = pl.int_range(pl.len()).over("symbol", "event_time_ns")
    return (
        rows.with_columns(
            event_id=pl.when(no_key).then(derived).otherwise("event_id"),
            sequence=pl.coalesce("sequence", place),
        )
        .drop("trade_id")
        .sort(LAKE_ORDER)
    )


def _lake_table(rows: pl.DataFrame, session_date: date, ingest_time_ns: int) -> pa.Table:
    made = {
        "event_time": pl.from_epoch("event_time_ns", time_unit="ns")
        .dt.cast_time_unit("us")
        .dt.replace_time_zone("UTC"),
        "ingest_time": pl.from_epoch(pl.lit(ingest_time_ns), time_unit="ns")
        .dt.cast_time_unit("us")
        .dt.replace_time_zone("UTC"),
        "session_date": pl.lit(session_date),
        "capture_mode": pl.lit("trade"),
        "volume": pl.col("volume").floor().cast(pl.Int64),
        "volume_fraction": ((pl.col("volume") - pl.col("volume").floor()) * SHARE_PARTS).cast(pl.Int32),
        "version": pl.col("status").replace_strict(VERSION_OF_STATUS, return_dtype=pl.Int32),
    }
    schema = trade_schema()
    table = rows.select([made[name].alias(name) if name in made else pl.col(name) for name in schema.names])
    found = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    return pa.table([found[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
