"""Reads the lake's files as trades, a bounded number of rows at a time."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow.parquet as pq

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.trade import NULLABLE_COLUMN
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, one_line, trade_pieces
from stock_pipeline.lake.raw_file_gate import Verdict, conformed, ignored_columns, judge_file
from stock_pipeline.lake.session_times import within_session
from stock_pipeline.trade_table import trade_schema

BATCH_ROWS = 524_288

_FILES_AT_ONCE = 1_024
_BYTES_AT_ONCE = 12_000_000


class GroupRows(NamedTuple):
    """The rows of some files.

    unreadable: files that are no trades of the session, with the reason; their rows are not in `frames`.
    ignored: columns that nobody declared.
    schema_version: the newest of the files'.
    """

    frames: Iterator[pl.DataFrame]
    unreadable: dict[Path, str]
    ignored: tuple[str, ...]
    schema_version: int


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


def read_group(paths: Sequence[Path], session_date: date) -> GroupRows:
    """Judge each file by itself, and read those that are trades of the session."""
    verdicts = {path: _verdict(path) for path in paths}
    unreadable = {path: verdict.refused for path, verdict in verdicts.items() if verdict.refused}
    frames: list[Iterable[pl.DataFrame]] = []
    for alike in _alike({path: verdict for path, verdict in verdicts.items() if not verdict.refused}):
        together = _read_together(alike, sum(verdicts[path].rows for path in alike), session_date)
        if together is not None:
            frames.append([together])
            continue
        for path in alike:
            reason = _why_unreadable(path, verdicts[path].rows, session_date)
            if reason is None:
                frames.append(read_in_pieces(path))
            else:
                unreadable[path] = reason
    newest = max((verdict.version for verdict in verdicts.values() if not verdict.refused), default=1)
    return GroupRows(chain.from_iterable(frames), unreadable, ignored_columns(verdicts.values()), newest)


def read_in_pieces(path: Path) -> Iterator[pl.DataFrame]:
    for piece in trade_pieces(path, BATCH_ROWS):
        yield pl.DataFrame(piece)


def _verdict(path: Path) -> Verdict:
    try:
        return judge_file(pq.read_metadata(path))
    except BROKEN_FILE as error:
        return Verdict(0, refused=one_line(error))


def _alike(verdicts: dict[Path, Verdict]) -> Iterator[list[Path]]:
    """Yield files with the same columns together."""
    alike: dict[Verdict, list[Path]] = {}
    for path, verdict in verdicts.items():
        alike.setdefault(verdict._replace(rows=0), []).append(path)
    yield from alike.values()


def _read_together(paths: Sequence[Path], expected_rows: int, session_date: date) -> pl.DataFrame | None:
    """Return the rows of small files; None if any of them has to be looked at alone."""
    if len(paths) == 1:
        return None
    try:
        rows = pl.scan_parquet(list(paths), hive_partitioning=False, glob=False).collect()
        rows = rows.rechunk()  # because polars would do all that follows once a file
        rows = rows if rows.schema == _schema() else pl.DataFrame(conformed(rows.to_arrow()))
        reason = _wrong_rows(rows, session_date)
    except BROKEN_FILE:
        return None
    return rows if reason is None and rows.height == expected_rows else None


def _why_unreadable(path: Path, expected_rows: int, session_date: date) -> str | None:
    """Read every page; return why the file is no trades of the session, or None."""
    found = 0
    try:
        for rows in read_in_pieces(path):
            found += rows.height
            reason = _wrong_rows(rows, session_date)
            if reason is not None:
                return reason
    except BROKEN_FILE as error:
        return one_line(error)
    return None if found == expected_rows else f"it has {found} rows, its footer says {expected_rows}"


def _wrong_rows(rows: pl.DataFrame, session_date: date) -> str | None:
    """Return why the rows can't be trades of the session, or None."""
    required = [name for name in rows.columns if name != NULLABLE_COLUMN]
    of_session = (pl.col("session_date") == session_date) & within_session(rows["feed"].unique(), session_date)
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
