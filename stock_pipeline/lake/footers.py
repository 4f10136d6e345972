"""Reads what Parquet files say of themselves at their end, without their rows."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.trade import LAKE_ORDER
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE
from stock_pipeline.lake.raw_file_gate import Verdict, judge_file

_THREADS = 16
_TAIL_BYTES = 65_536
_END_BYTES = 8
"""The footer's length, and the magic number."""


def footer(lake: Lake, key: str, etag: str | None = None) -> pq.FileMetaData:
    """Read a footer; one of `BROKEN_FILE` if the object is no Parquet file."""
    tail = lake.tail(key, _TAIL_BYTES, etag)
    size = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    if size > len(tail):
        tail = lake.tail(key, size, etag)
    return pq.read_metadata(pa.BufferReader(tail))


def judge_files(lake: Lake, files: Iterable[InputFile]) -> dict[InputFile, Verdict]:
    """Return what the gate says of each file."""

    def judged(file: InputFile) -> tuple[InputFile, Verdict]:
        try:
            return file, judge_file(footer(lake, file.key, file.etag))
        except BROKEN_FILE:
            return file, Verdict(0, refused="it is no Parquet file")

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(pool.map(judged, files))


def unsorted_files(lake: Lake, keys: Iterable[str]) -> tuple[str, ...]:
    """Return the files whose row groups do not say that symbols come in order."""
    return tuple(key for key in keys if not _is_sorted(footer(lake, key)))


def _is_sorted(metadata: pq.FileMetaData) -> bool:
    first, *_ = LAKE_ORDER
    column = metadata.schema.names.index(first)
    bounds = [metadata.row_group(number).column(column).statistics for number in range(metadata.num_row_groups)]
    if any(each is None or not each.has_min_max for each in bounds):
        return False
    return all(before.max <= after.min for before, after in pairwise(bounds))
