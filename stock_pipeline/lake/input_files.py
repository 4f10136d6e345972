"""Reads the lake's files as trades, a bounded number of rows at a time."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.session import session_bounds_ns
from stock_pipeline.domain.trade import NULLABLE_COLUMN
from stock_pipeline.lake.parquet_pieces import trade_pieces, with_catalog_types
from stock_pipeline.trade_table import trade_schema

BATCH_ROWS = 524_288

_FILES_AT_ONCE = 1_024
_BYTES_AT_ONCE = 12_000_000


class UnreadableFile(Exception):
    """A file has no trades of its session. Never leaves this package."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


def groups(files: Sequence[InputFile]) -> Iterator[list[InputFile]]:
    """Yield groups of files to read together: many small ones, or one large one.

    Opening small files one by one costs as much as compacting them.
    """
    group: list[InputFile] = []
    size = 0
    for file in files:
        if group and (len(group) == _FILES_AT_ONCE or size + file.size > _BYTES_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group


def read_group(paths: Sequence[Path], session_date: date) -> Iterator[pl.DataFrame]:
    """Yield the rows of a group; `UnreadableFile`, before the first row, for a file without trades of the session."""
    if len(paths) > 1:
        yield _read_small(paths, session_date)
    else:
        for path in paths:
            _check_whole(path, session_date)
            yield from read_in_pieces(path)


def read_in_pieces(path: Path) -> Iterator[pl.DataFrame]:
    for piece in trade_pieces(path, BATCH_ROWS):
        yield pl.DataFrame(piece)


def unreadable_files(paths: Iterable[Path], session_date: date) -> Iterator[UnreadableFile]:
    """Yield an error for each unreadable file."""
    for path in paths:
        try:
            _check_whole(path, session_date)
        except UnreadableFile as error:
            yield error


def _read_small(paths: Sequence[Path], session_date: date) -> pl.DataFrame:
    try:
        rows = pl.scan_parquet(list(paths), hive_partitioning=False, glob=False).select(trade_schema().names).collect()
        rows = rows.rechunk()  # because polars would do all that follows once a file
        rows = pl.DataFrame(with_catalog_types(rows.to_arrow())) if rows.schema != _schema() else rows
        reason = _wrong_rows(rows, session_date)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        reason = _one_line(error)
    if reason is None:
        return rows
    for path in paths:
        _check_whole(path, session_date)
    # each can be read alone: one of them has INT96 times, as Athena writes them
    return pl.concat(rows for path in paths for rows in read_in_pieces(path))


def _check_whole(path: Path, session_date: date) -> None:
    """Read every page; `UnreadableFile` if that fails."""
    try:
        for rows in read_in_pieces(path):
            reason = _wrong_rows(rows, session_date)
            if reason is not None:
                raise UnreadableFile(path, reason)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        raise UnreadableFile(path, _one_line(error)) from error


def _wrong_rows(rows: pl.DataFrame, session_date: date) -> str | None:
    """Return why the rows can't be trades of the session, or None."""
    start_ns, end_ns = session_bounds_ns(session_date)
    required = [name for name in rows.columns if name != NULLABLE_COLUMN]
    of_session = (pl.col("session_date") == session_date) & pl.col("event_time_ns").is_between(
        start_ns, end_ns, closed="left"
    )
    same_time = pl.col("event_time").to_physical() == pl.col("event_time_ns") // 1000
    nulls, strangers, torn = rows.select(
        pl.sum_horizontal(pl.col(required).null_count()).alias("nulls"),
        (~of_session).sum().alias("strangers"),
        (~same_time).sum().alias("torn"),
    ).row(0)
    if nulls:
        return f"{nulls} values are null that may not be"
    if strangers:
        return f"{strangers} rows are not of session {session_date}"
    if torn:
        return f"{torn} rows have an event_time that is not their event_time_ns"
    return None


def _schema() -> pl.Schema:
    return pl.DataFrame(trade_schema().empty_table()).schema


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
