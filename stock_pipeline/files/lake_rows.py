"""Rows of files as the lake has them: their session, their event id, their table."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl
import pyarrow as pa

from stock_pipeline.domain.trade import LAKE_ORDER, SHARE_PARTS
from stock_pipeline.trade_table import session_days, trade_schema

VERSION_OF_STATUS = {"good": 0, "notice": 0, "corrected": 1, "cancelled": 4}
"""As Alpaca's rows have them, so that a later file's correction of a trade wins over the trade as it was reported."""

_EPOCH = date(1970, 1, 1)
_EXECUTION = ("event_time_ns", "price", "volume")


def by_session(trades: pl.DataFrame) -> Iterator[tuple[date, pl.DataFrame]]:
    """Yield rows of `checks.Batch` by their session date, in the file's order."""
    feeds = trades["feed"].to_arrow(compat_level=pl.CompatLevel.oldest())
    days = pl.Series("session_day", session_days(trades["event_time_ns"].to_numpy(), feeds))
    for (day,), rows in trades.with_columns(days).group_by("session_day", maintain_order=True):
        yield _EPOCH + timedelta(days=day), rows.drop("session_day")


def identified(trades: pl.DataFrame, session_date: date) -> pl.DataFrame:
    """Give each row its event id and sequence, and sort as the lake does.

    An id that other executions of the session have too is no key, such as a sequence 0 in all rows. Those rows, and
    rows without an id, get one of their values and their place among equal rows, as `derived_event_id` has it.
    """
    rows = _cancelled(trades).sort("symbol", "event_time_ns", maintain_order=True)
    given = pl.concat_str(
        "feed",
        "symbol",
        pl.lit(f"{session_date:%Y%m%d}"),
        "exchange",
        pl.col("trade_id"),
        separator=":",
    )
    rows = rows.with_columns(event_id=given)
    repeated = rows.filter(pl.col("event_id").is_not_null() & pl.col("event_id").is_duplicated())
    several = (
        repeated.filter(pl.col("status") == "good")
        .select("event_id", *_EXECUTION)
        .unique()
        .filter(pl.col("event_id").is_duplicated())["event_id"]
        .unique()
    )
    no_key = pl.col("event_id").is_null() | pl.col("event_id").is_in(several.implode())
    if not rows.select(no_key.any()).item():
        return rows.drop("trade_id").sort(LAKE_ORDER)
    price, volume = (pl.col(name).cast(pl.String).str.replace(r"\.?0+$", "") for name in ("price", "volume"))
    ordinal = pl.int_range(pl.len()).over("symbol", *_EXECUTION, no_key)
    derived = pl.concat_str("feed", "symbol", "event_time_ns", price, volume, ordinal, separator=":")
    place = pl.int_range(pl.len()).over("symbol", "event_time_ns")
    return (
        rows.with_columns(
            event_id=pl.when(no_key).then(derived).otherwise("event_id"),
            sequence=pl.coalesce("sequence", place),
        )
        .drop("trade_id")
        .sort(LAKE_ORDER)
    )


def _cancelled(trades: pl.DataFrame) -> pl.DataFrame:
    """Mark the trades that other rows cancel by their values; those rows are notices then."""
    is_cancel = pl.col("status") == "cancels"
    if not trades.select(is_cancel.any()).item():
        return trades
    values = ["symbol", "exchange", "price", "volume"]
    meant = trades.join(trades.filter(is_cancel).select(values).unique(), on=values, how="semi").sort("line")
    standing: dict[tuple[object, ...], list[int]] = defaultdict(list)
    void = []
    for *key, line, status in meant.select(*values, "line", "status").iter_rows():
        if status != "cancels":
            standing[tuple(key)].append(line)
        elif standing[tuple(key)]:
            void.append(standing[tuple(key)].pop())
    status = pl.when(is_cancel).then(pl.lit("notice")).when(pl.col("line").is_in(void)).then(pl.lit("cancelled"))
    return trades.with_columns(status=status.otherwise("status"))


def lake_table(rows: pl.DataFrame, session_date: date, ingest_time_ns: int) -> pa.Table:
    """Return rows that are `identified` as a table of `trade_schema`."""
    made = {
        "event_time": pl.from_epoch("event_time_ns", time_unit="ns")
        .dt.cast_time_unit("us")
        .dt.replace_time_zone("UTC"),
        "ingest_time": pl.from_epoch(pl.lit(ingest_time_ns), time_unit="ns")
        .dt.cast_time_unit("us")
        .dt.replace_time_zone("UTC"),
        "session_date": pl.lit(session_date),
        "capture_mode": pl.lit("trade"),
        "volume": pl.col("volume").floor().cast(pl.Int64),
        "volume_fraction": ((pl.col("volume") - pl.col("volume").floor()) * SHARE_PARTS).cast(pl.Int32),
        "version": pl.col("status").replace_strict(VERSION_OF_STATUS, return_dtype=pl.Int32),
    }
    schema = trade_schema()
    table = rows.select([made[name].alias(name) if name in made else pl.col(name) for name in schema.names])
    found = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    return pa.table([found[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
