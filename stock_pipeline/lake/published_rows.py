"""Checks if a published partition's rows can be true, before anything is built on them.

That they are the inputs' rows is compaction's proof.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from stock_pipeline.domain.compaction_plan import Manifest
from stock_pipeline.domain.lake_layout import VersionPrefix
from stock_pipeline.domain.session import session_bounds_ns
from stock_pipeline.domain.trade import CAPTURE_MODES, STATUSES
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.lake.partition_heads import PartitionHeads

_ROWS = "rows"


@dataclass(frozen=True, slots=True)
class RowFindings:
    """Findings of one check.

    bad: broken rules with the number of rows.
    """

    session_date: date
    version: str
    rows: int
    bad: Mapping[str, int]


def published_findings(lake: Lake, session_date: date) -> RowFindings | None:
    """Return findings about the published version; None if there is none."""
    version = PartitionHeads(lake).read(session_date).head.version
    if version is None:
        return None
    manifest = Manifest.from_json(lake.get(VersionPrefix(session_date, version).manifest_key))
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trades.parquet"
        for key in manifest.data_keys:
            lake.download(key, path)
            counts.update(_counts(path, session_date))
    rows = counts.pop(_ROWS, 0)
    return RowFindings(session_date, version, rows, {rule: count for rule, count in counts.items() if count})


def _counts(path: Path, session_date: date) -> dict[str, int]:
    """Return, for one file, the count of its rows and of those that break each rule."""
    figures = pl.scan_parquet(path).select(pl.len().alias(_ROWS), **_rules(session_date))
    return figures.collect(engine="streaming").row(0, named=True)


def _rules(session_date: date) -> dict[str, pl.Expr]:
    """Return, for each rule, the count of rows that break it."""
    start_ns, end_ns = session_bounds_ns(session_date)
    broken = {
        "price is missing or not above zero": ~(pl.col("price") > 0),
        "volume is below zero": pl.col("volume") < 0,
        "volume is missing in a trade": pl.col("volume").is_null() & (pl.col("capture_mode") == "trade"),
        "time lies outside the session's day": ~pl.col("event_time_ns").is_between(start_ns, end_ns, closed="left"),
        "event id or symbol is empty": (pl.col("event_id") == "") | (pl.col("symbol") == ""),
        "status or capture mode is unknown": ~(
            pl.col("status").is_in(STATUSES) & pl.col("capture_mode").is_in(CAPTURE_MODES)
        ),
    }
    # a missing value, which can't be compared, breaks the rule as well
    return {
        rule: (expression if rule.startswith("volume is below") else expression.fill_null(True)).fill_null(False).sum()
        for rule, expression in broken.items()
    }
