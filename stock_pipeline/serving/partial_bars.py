"""Marked trades added up by their place: columns as `bar_slots.BarSlots.merge` takes them."""

import polars as pl

from stock_pipeline.serving.bar_slots import EMPTY, SHARE_PARTS, TURNOVER_PARTS


def partial_bars(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Add up rows, sorted by `order_key`. Kept rows only count for `latest` and `eligible`."""
    adds = ~pl.col("kept")
    open_close, high_low, counted = (adds & pl.col(name) for name in ("open_close", "high_low", "counted"))
    priced = counted & high_low
    units = pl.col("shares").cast(pl.Int128) * SHARE_PARTS + pl.col("share_parts").cast(pl.Int128)
    turnover = pl.col("price").cast(pl.Int128) * units
    ends = {
        "first": (open_close, False),
        "last": (open_close, True),
        "alone": (high_low, False),
        "latest": (pl.col("paid"), True),
        "eligible": (pl.col("eligible"), True),
    }
    found = {
        f"{what}_{part}": _end_of(pl.col(column).filter(of), last).fill_null(EMPTY[f"{what}_{part}"])
        for what, (of, last) in ends.items()
        for part, column in (("ns", "event_time_ns"), ("sequence", "sequence"), ("price", "price"))
    }
    return (
        rows.group_by(by)
        .agg(
            **found,
            high=pl.col("price").filter(high_low).max().fill_null(EMPTY["high"]),
            low=pl.col("price").filter(high_low).min().fill_null(EMPTY["low"]),
            rows=(adds & pl.col("barred")).sum().cast(pl.Int64),
            trades=counted.sum().cast(pl.Int64),
            shares=pl.col("shares").filter(counted).sum(),
            share_parts=pl.col("share_parts").filter(counted).sum(),
            priced_shares=pl.col("shares").filter(priced).sum(),
            priced_share_parts=pl.col("share_parts").filter(priced).sum(),
            dollars=turnover.filter(priced).sum().fill_null(0),
        )
        .with_columns(
            turnover=(pl.col("dollars") // TURNOVER_PARTS).cast(pl.Int64),
            turnover_parts=(pl.col("dollars") % TURNOVER_PARTS).cast(pl.Int64),
        )
        .drop("dollars")
    )


def _end_of(values: pl.Expr, last: bool) -> pl.Expr:
    return values.last() if last else values.first()
