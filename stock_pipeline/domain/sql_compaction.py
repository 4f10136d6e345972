"""A SQL engine's share of a compaction: what to write, and the result."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import VersionPrefix
from stock_pipeline.domain.trades_digest import TradesDigest


@dataclass(frozen=True, slots=True)
class SqlCompaction:
    """Write the winning rows of `base` and `files` to `target`, which is empty.

    unreadable: raw files of the session to leave out.
    """

    session_date: date
    base: VersionPrefix | None
    files: tuple[InputFile, ...]
    unreadable: tuple[InputFile, ...]
    target: VersionPrefix


class SqlReading(NamedTuple):
    """Figures of the plan's new files.

    rows: of each file that has any.
    unreadable: files that are no trades of the session, with the reason.
    """

    rows: Mapping[InputFile, int]
    unreadable: Mapping[InputFile, str]


class SqlResult(NamedTuple):
    """Figures of the written version.

    expected: from the inputs.
    found, distinct_ids: from the written rows.
    """

    rows_in: int
    expected: TradesDigest
    found: TradesDigest
    distinct_ids: int
