"""Rows of trades in polars: one row per event id, in the lake's order.

The vectorised twin of `domain.trade.precedence` and `order_key`; a property test holds the two together.
"""

from datetime import date

import polars as pl

LAKE_ORDER = ("symbol", "event_time_ns", "sequence", "event_id")

PRECEDENCE = (
    "event_time_ns",
    "sequence",
    "version",
    "status",
    "price",
    "volume",
    "exchange",
    "conditions",
    "tape",
    "capture_mode",
    "feed",
    "symbol",
)


def one_row_per_event_id(rows: pl.DataFrame) -> pl.DataFrame:
    """The row that stands for each event id, in the lake's order (symbol, event time, sequence, event id)."""
    ordered = rows.sort(
        "event_id",
        *PRECEDENCE,
        "ingest_time",
        # of rows that agree in everything else, the one seen first stands last
        descending=[False] * (1 + len(PRECEDENCE)) + [True],
        nulls_last=False,
    )
    return ordered.unique("event_id", keep="last", maintain_order=True).sort(LAKE_ORDER)


def is_in_lake_order(rows: pl.DataFrame) -> bool:
    return rows.select(LAKE_ORDER).equals(rows.select(LAKE_ORDER).sort(LAKE_ORDER))


def sessions_of(rows: pl.DataFrame) -> list[date]:
    return sorted(rows["session_date"].unique().to_list())
