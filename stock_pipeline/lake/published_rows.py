"""Checks if a published partition's rows can be true, before anything is built on them.

That they are the inputs' rows is compaction's proof.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa

from stock_pipeline.domain.trade import CAPTURE_MODES, STATUSES
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, one_line, parquet_pieces
from stock_pipeline.lake.session_partition import SessionPartition
from stock_pipeline.lake.session_times import within_session

_BATCH_ROWS = 262_144

_COLUMNS = ["event_id", "feed", "symbol", "event_time_ns", "price", "volume", "capture_mode", "status"]


@dataclass(frozen=True, slots=True)
class RowFindings:
    """Findings of one check.

    bad: broken rules with the number of rows.
    damage: why the version could not be read, or "".
    """

    session_date: date
    version: str
    rows: int
    bad: Mapping[str, int]
    damage: str = ""


def published_findings(partition: SessionPartition) -> RowFindings | None:
    """Return findings about the published version; None if there is none."""
    published = partition.published()
    if published is None:
        return None
    published = partition.confirmed(published)
    if published.manifest is None or published.damage:
        return RowFindings(partition.session_date, published.name, 0, {}, published.damage)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trades.parquet"
        for key in published.manifest.data_keys:
            partition.lake.download(key, path)
            try:
                for batch in parquet_pieces(path, _BATCH_ROWS, _COLUMNS):
                    rows = pl.DataFrame(pa.Table.from_batches([batch]))
                    rules = _rules(rows["feed"].unique(), partition.session_date)
                    counts.update(rows.select(pl.len().alias("rows"), **rules).row(0, named=True))
            except BROKEN_FILE as error:
                damage = f"{key} can't be read ({one_line(error)})"
                return RowFindings(partition.session_date, published.name, 0, {}, damage)
    rows_in_all = counts.pop("rows", 0)
    bad = {rule: count for rule, count in counts.items() if count}
    return RowFindings(partition.session_date, published.name, rows_in_all, bad)


def _rules(feeds: Iterable[str], session_date: date) -> dict[str, pl.Expr]:
    """Return, for each rule, the count of rows that break it."""
    broken = {
        "price is missing or not above zero": ~(pl.col("price") > 0),
        "volume is below zero": pl.col("volume") < 0,
        "volume is missing in a trade": pl.col("volume").is_null() & (pl.col("capture_mode") == "trade"),
        "time lies outside the session": ~within_session(feeds, session_date),
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
