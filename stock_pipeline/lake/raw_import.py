"""Writes rows of files into the raw zone, sorted, a session at a time, without the stream.

Rows are spilled to disk by session first, so that memory does not grow with the file. An object's name is made of its
rows, without their ingest time: a run that was killed and is started again writes what is missing, and nothing twice.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import polars as pl
import pyarrow as pa

from stock_pipeline.domain.lake_layout import IMPORT, raw_key, reopened_key
from stock_pipeline.files.lake_rows import by_session, identified, lake_table
from stock_pipeline.lake.lake_access import Lake

ROWS_A_FILE = 500_000
SPILLED_ROWS = 500_000
"""Dealt out to buckets at once: each part is read once, and a bucket gets few parts however long the file is."""


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
    """`add` all rows of a file, then `write` each of `sessions`, once.

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
        for session_date, rows in by_session(trades):
            parts = self._parts.setdefault(session_date, [])
            path = self.folder / f"{session_date}-{len(parts):06}.arrow"
            rows.write_ipc(path)
            parts.append(path)
            self._rows[session_date] = self._rows.get(session_date, 0) + rows.height

    def write(self, session_date: date, dry_run: bool = False) -> SessionReport:
        """Write the session's files, and let compaction look at it again; a dry run only counts."""
        buckets = -(-self._rows[session_date] // self.rows_a_file)
        report = SessionReport(session_date, 0, 0, 0, 0, 0, 2**63 - 1, 0)
        if not dry_run:
            self.lake.put(reopened_key(session_date), b"")
        for bucket, parts in enumerate(self._bucketed(session_date, buckets)):
            if not parts:
                continue
            rows = identified(pl.concat([pl.read_ipc(path) for path in parts]), session_date)
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

    def _bucketed(self, session_date: date, buckets: int) -> Iterator[list[Path]]:
        """Yield the parts of each bucket of symbols, their rows in the file's order."""
        if buckets == 1:
            yield self._parts[session_date]
            return
        of_bucket: list[list[Path]] = [[] for _ in range(buckets)]
        for number, rows in enumerate(_gathered(self._parts[session_date], SPILLED_ROWS)):
            names = rows["symbol"].unique().to_list()
            places = pl.DataFrame({"symbol": names, "bucket": [crc32(name.encode()) % buckets for name in names]})
            placed = rows.join(places, on="symbol", maintain_order="left")
            for (bucket,), inside in placed.group_by("bucket", maintain_order=True):
                path = self.folder / f"{session_date}-bucket-{bucket}-{number}.arrow"
                inside.drop("bucket").write_ipc(path)
                of_bucket[int(str(bucket))].append(path)
        yield from of_bucket

    def _put(self, rows: pl.DataFrame, session_date: date, bucket: int) -> bool:
        content = io.BytesIO()
        rows.drop("line").write_ipc(content)
        name = hashlib.sha256(content.getbuffer()).hexdigest()[:16]
        key = raw_key(session_date, IMPORT, str(bucket), str(rows.height), name)
        return self.lake.put_if_absent(key, self.encode(lake_table(rows, session_date, self.ingest_time_ns)))


def _gathered(parts: list[Path], rows: int) -> Iterator[pl.DataFrame]:
    """Yield the parts' rows in their order, so many or a little more at a time; the parts are removed."""
    held: list[pl.DataFrame] = []
    for path in parts:
        held.append(pl.read_ipc(path))
        path.unlink()
        if sum(frame.height for frame in held) >= rows:
            yield pl.concat(held)
            held.clear()
    if held:
        yield pl.concat(held)
