"""The levels of a file's prices, counted as they are read: what `domain.price_scale` judges."""

from pathlib import Path

import polars as pl

from stock_pipeline.domain.price_scale import STEPS_A_DECADE, PriceLevel, mixed_scale
from stock_pipeline.errors import InputFileError

_DAY_NS = 86_400 * 10**9
_LEVEL = ["symbol", "day", "step"]


class PriceLevels:
    """Rows by symbol, day of UTC and level: a few numbers a symbol and day, however long the file is."""

    def __init__(self) -> None:
        self._rows = pl.DataFrame(schema={"symbol": pl.String, "day": pl.Int64, "step": pl.Int32, "rows": pl.UInt32})

    def add(self, trades: pl.DataFrame) -> None:
        level = (pl.col("price").cast(pl.Float64).log10() * STEPS_A_DECADE).round().cast(pl.Int32)
        rows = trades.group_by(
            symbol=pl.col("symbol").cast(pl.String), day=pl.col("event_time_ns") // _DAY_NS, step=level
        ).agg(rows=pl.len().cast(pl.UInt32))
        self._rows = pl.concat([self._rows, rows]).group_by(_LEVEL).agg(pl.col("rows").sum())

    def check(self, path: Path) -> None:
        """Raise `InputFileError` if the file's prices are in several units."""
        found = mixed_scale({PriceLevel(*each[:3]): each[3] for each in self._rows.iter_rows()})
        if found:
            raise InputFileError(
                f"{path}: prices of {found.symbol} jump by {found.factor:,} against each other, as if some rows were "
                "in another unit: write all prices in dollars, or import the two kinds apart, the integers with --scale"
            )
