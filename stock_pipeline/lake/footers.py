"""Reads what Parquet files say of themselves at their end, without their rows."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.trade import LAKE_ORDER
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.trade_table import trade_schema

_THREADS = 16
_TAIL_BYTES = 65_536
_END_BYTES = 8
"""The footer's length, and the magic number."""


def footer(lake: Lake, key: str) -> pq.FileMetaData:
    tail = lake.tail(key, _TAIL_BYTES)
    size = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    if size > len(tail):
        tail = lake.tail(key, size)
    return pq.read_metadata(pa.BufferReader(tail))


def other_types(lake: Lake, files: Iterable[InputFile]) -> dict[InputFile, str]:
    """Return files whose columns have other types than the catalog says, with the reason."""
    with ThreadPoolExecutor(_THREADS) as pool:
        reasons = pool.map(lambda file: (file, _other_type(lake, file.key)), files)
        return {file: reason for file, reason in reasons if reason is not None}


def unsorted_files(lake: Lake, keys: Iterable[str]) -> tuple[str, ...]:
    """Return the files whose row groups do not say that symbols come in order."""
    return tuple(key for key in keys if not _is_sorted(footer(lake, key)))


def _other_type(lake: Lake, key: str) -> str | None:
    try:
        found = footer(lake, key).schema.to_arrow_schema()
    except (pa.ArrowException, OSError):
        return "it is no Parquet file"
    for field in trade_schema():
        if field.name in found.names:
            kind = found.field(field.name).type
            # a time has other units and no zone where Athena wrote it
            if kind != field.type and not (pa.types.is_timestamp(kind) and pa.types.is_timestamp(field.type)):
                return f"its column {field.name} is {kind}, not {field.type}"
    return None


def _is_sorted(metadata: pq.FileMetaData) -> bool:
    first, *_ = LAKE_ORDER
    column = metadata.schema.names.index(first)
    bounds = [metadata.row_group(number).column(column).statistics for number in range(metadata.num_row_groups)]
    if any(each is None or not each.has_min_max for each in bounds):
        return False
    return all(before.max <= after.min for before, after in pairwise(bounds))
