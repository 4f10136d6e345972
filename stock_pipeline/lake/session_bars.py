"""The daily bars of a published session, by the domain's rules, in memory for one piece of it at a time.

Of rows that the rules can't tell apart, a bar needs only the sums and a few: the dearest, the cheapest, the first, the
last and the largest. So a session of any size becomes some hundred rows a symbol, for `domain.bar`.
"""

import tempfile
from collections import defaultdict
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa

from stock_pipeline.domain.bar import Bar, counts_in_volume, daily_bar
from stock_pipeline.domain.feed_session import feed_session_hours
from stock_pipeline.domain.trade import SHARE_PARTS, OrderKey, Shares, Trade, exact_shares, shares_of
from stock_pipeline.errors import DamagedVersionError
from stock_pipeline.lake.parquet_pieces import trade_pieces
from stock_pipeline.lake.session_partition import SessionPartition
from stock_pipeline.trade_table import trade_schema, trades_of_table

_BATCH_ROWS = 262_144

_ALIKE = ["symbol", "capture_mode", "status", "conditions", "tape", "in_hours", "has_shares"]
"""What the rules of a bar look at, beside price, volume and order."""


def published_bars(partition: SessionPartition, feed: str) -> dict[str, Bar] | None:
    """Return the feed's bars by symbol; None if the session is not published. Raises `DamagedVersionError`."""
    published = partition.published()
    if published is None:
        return None
    if published.manifest is None or published.damage:
        raise DamagedVersionError(f"session {partition.session_date}: {published.damage}")
    reduced = pl.DataFrame()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trades.parquet"
        for key in published.manifest.data_keys:
            partition.lake.download(key, path)
            for table in trade_pieces(path, _BATCH_ROWS):
                piece = pl.DataFrame(table).filter(pl.col("feed") == feed)
                if piece.height:
                    reduced = _reduced(pl.concat([reduced, _counted(piece, partition.session_date, feed)]))
    return _bars(reduced, partition.session_date, feed)


def _counted(rows: pl.DataFrame, session_date: date, feed: str) -> pl.DataFrame:
    hours = feed_session_hours(session_date, feed)
    in_hours = (
        pl.lit(False)
        if hours is None
        else (pl.col("event_time_ns") >= hours.open_ns) & (pl.col("event_time_ns") < hours.close_ns)
    )
    return rows.with_columns(
        in_hours=in_hours,
        has_shares=(pl.col("volume") > 0) | (pl.col("volume_fraction") > 0),
        whole=pl.col("volume").fill_null(0),
        parts=pl.col("volume_fraction").cast(pl.Int64),
        rows=pl.lit(1, pl.Int64),
    )


def _reduced(rows: pl.DataFrame) -> pl.DataFrame:
    """Keep of each group the rows that may make a price; the first of them carries the group's sums."""
    rows = rows.sort("symbol", *OrderKey._fields)
    place = pl.int_range(pl.len())
    size = pl.col("volume").fill_null(-1).cast(pl.Int128) * SHARE_PARTS + pl.col("volume_fraction")
    wanted = (
        (place == pl.col("price").arg_max())
        | (place == pl.col("price").arg_min())
        | (place == 0)
        | (place == pl.len() - 1)
        | (size == size.max()) & (place == pl.when(size == size.max()).then(place).max())
    ).over(_ALIKE)
    first = (place == 0).over(_ALIKE)
    sums = [
        pl.when(first).then(pl.col(name).sum().over(_ALIKE)).otherwise(0).alias(name)
        for name in ("whole", "parts", "rows")
    ]
    return rows.with_columns(*sums, wanted=wanted).filter("wanted").drop("wanted")


def _bars(reduced: pl.DataFrame, session_date: date, feed: str) -> dict[str, Bar]:
    if not reduced.height:
        return {}
    schema = trade_schema()
    arrow = reduced.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    table = pa.table([arrow[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
    of_symbol: defaultdict[str, list[Trade]] = defaultdict(list)
    volume: defaultdict[str, Shares] = defaultdict(int)
    count: defaultdict[str, int] = defaultdict(int)
    sums = reduced.select("whole", "parts", "rows").iter_rows()
    for trade, (whole, parts, rows) in zip(trades_of_table(table), sums, strict=True):
        of_symbol[trade.symbol].append(trade)
        if counts_in_volume(trade):
            volume[trade.symbol] += shares_of(whole + parts // SHARE_PARTS, parts % SHARE_PARTS)
            count[trade.symbol] += rows
    hours = feed_session_hours(session_date, feed)
    found = {symbol: daily_bar(trades, hours) for symbol, trades in of_symbol.items()}
    # the price that shares changed hands at on average can't be known from some of them
    return {
        symbol: replace(bar, volume=exact_shares(volume[symbol]), trade_count=count[symbol], vwap=None)
        for symbol, bar in found.items()
        if bar is not None
    }
