"""Trades of a file as columns of numbers with what each may change, by the domain's rules.

Bars are made of them in `live_session`; the rules belong to `domain.conditions` and `domain.trade`.
"""

from collections.abc import Iterable
from datetime import date
from io import BytesIO

import polars as pl
import pyarrow.parquet as pq

from stock_pipeline.domain.conditions import print_rule
from stock_pipeline.domain.session import session_bounds_ns, session_hours
from stock_pipeline.domain.trade import EFFECTIVE_STATUSES, PRECEDENCE, PRICE_SCALE
from stock_pipeline.errors import InputFileError
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, one_line
from stock_pipeline.lake.raw_file_gate import conformed, judge_file

MINUTE_NS = 60 * 10**9

_SEED = 0x5EED
_DECIDES = [each.column for each in PRECEDENCE if each.column != "ingest_time"]
"""Two rows that are alike in these make the same bar. Ingest time only tells which came first."""

_ORDER = ("event_time_ns", "sequence", "event_id")

_FLAGS = {
    "updates_volume": pl.Boolean,
    "updates_high_low": pl.Boolean,
    "updates_open_close": pl.Boolean,
    "is_official": pl.Boolean,
    "is_closing": pl.Boolean,
    "is_corrected_close": pl.Boolean,
}


def read_rows(body: bytes, session_date: date) -> pl.DataFrame:
    """Return the rows of a raw or curated file. Raises `InputFileError` if it is no file of this session's trades."""
    try:
        with pq.ParquetFile(BytesIO(body)) as file:
            refused = judge_file(file.metadata).refused
            if refused:
                raise InputFileError(refused)
            rows = pl.DataFrame(conformed(file.read(use_threads=False)))
    except BROKEN_FILE as error:
        raise InputFileError(one_line(error)) from error
    if rows.height and not rows["session_date"].eq(session_date).all():
        raise InputFileError(f"it has rows of another session than {session_date}")
    return rows


def winning(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the winning row of each event id, as `domain.trade.precedence` chooses it."""
    ordered = rows.sort(
        *(each.column for each in PRECEDENCE), descending=[not each.greater_wins for each in PRECEDENCE]
    )
    return ordered.unique("event_id", keep="last")


def marked(rows: pl.DataFrame, session_date: date) -> pl.DataFrame:
    """Add to lake rows: minute of the session's day, id and print as hashes, amounts in units, and what they change.

    Sorted by `order_key`. counted: volume and count; high_low, open_close: prices; closing: may be the closing print,
    which is decided among all trades of the session.
    """
    start_ns, _ = session_bounds_ns(session_date)
    hours = session_hours(session_date)
    open_ns, close_ns = (hours.open_ns, hours.close_ns) if hours else (0, 0)
    traded = (pl.col("capture_mode") == "trade") & pl.col("status").is_in(list(EFFECTIVE_STATUSES))
    is_session = pl.lit(hours is not None)
    regular = pl.col("event_time_ns").is_between(open_ns, close_ns, closed="left")
    volume = pl.col("volume").fill_null(0).cast(pl.Int64)
    # what a release without parts of a share wrote has no such column
    parts = pl.col("volume_fraction").cast(pl.Int64) if "volume_fraction" in rows.columns else pl.lit(0, pl.Int64)
    priced = is_session & (regular | pl.col("is_closing"))
    return (
        rows.sort(_ORDER)
        .join(_rules(rows), on=["conditions", "tape"], how="left", maintain_order="left")
        .with_columns(
            minute=((pl.col("event_time_ns") - start_ns) // MINUTE_NS).cast(pl.Int32),
            id_hash=pl.col("event_id").hash(_SEED),
            price=(pl.col("price").cast(pl.Decimal(38, PRICE_SCALE)) * 10**PRICE_SCALE).cast(pl.Int64),
            shares=volume,
            share_parts=parts,
            effective=pl.col("status").is_in(list(EFFECTIVE_STATUSES)),
            counted=traded & pl.col("updates_volume"),
            # a bar is there for any trade but an official print, which only repeats
            barred=traded & ~pl.col("is_official"),
            closing=traded & is_session & (pl.col("is_closing") | pl.col("is_corrected_close")),
        )
        .with_columns(
            high_low=pl.col("counted") & priced & pl.col("updates_high_low"),
            open_close=pl.col("counted") & priced & pl.col("updates_open_close"),
        )
    )


def prints(rows: pl.DataFrame) -> pl.Series:
    """Return a hash of all that decides what a row changes."""
    return rows.select(_DECIDES).hash_rows(_SEED)


def _rules(rows: pl.DataFrame) -> pl.DataFrame:
    codes = rows.select("conditions", "tape").unique()
    return pl.DataFrame(
        [(*pair, *_flags(*pair)) for pair in codes.iter_rows()],
        schema={"conditions": pl.String, "tape": pl.String, **_FLAGS},
        orient="row",
    )


def _flags(conditions: str, tape: str) -> Iterable[bool]:
    rule = print_rule(conditions, tape)
    return (
        rule.updates_volume,
        rule.updates_high_low,
        rule.updates_open_close,
        rule.is_official_print,
        rule.is_closing,
        rule.is_corrected_close,
    )
