"""What a SQL engine is asked to do for a compaction, and what it says of it."""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import VersionPrefix
from stock_pipeline.domain.trades_digest import TradesDigest


@dataclass(frozen=True, slots=True)
class SqlCompaction:
    """Write the trades that stand, of `base` and `files`, to `target`, where nothing lies yet.

    unreadable: raw files of the session that can't be read.
    """

    session_date: date
    base: VersionPrefix | None
    files: tuple[InputFile, ...]
    unreadable: tuple[InputFile, ...]
    target: VersionPrefix


class SqlResult(NamedTuple):
    """expected: from the inputs. found: from what was written. distinct_ids: of what was written."""

    rows_in: int
    expected: TradesDigest
    found: TradesDigest
    distinct_ids: int
