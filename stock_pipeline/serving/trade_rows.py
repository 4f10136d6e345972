"""Trades of a file as columns of numbers with what each may change, by the domain's rules.

Bars are made of them in `live_session`; the rules belong to `domain.conditions` and `domain.bar`.
"""

from collections.abc import Iterable
from datetime import date
from io import BytesIO

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from stock_pipeline.domain.bar import MINUTE_NS
from stock_pipeline.domain.conditions import print_rule
from stock_pipeline.domain.trade import EFFECTIVE_STATUSES, PRECEDENCE, PRICE_SCALE
from stock_pipeline.errors import InputFileError
from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, one_line
from stock_pipeline.lake.raw_file_gate import conformed, judge_file
from stock_pipeline.lake.session_times import within_session
from stock_pipeline.serving.session_minutes import REGULAR_CODE, SessionMinutes

_SEED = 0x5EED
_ORDER = ("event_time_ns", "sequence", "event_id")

_PRECEDENCE = [(column, each.greater_wins) for each in PRECEDENCE for column in each.columns]
_DECIDES = [column for column, _ in _PRECEDENCE if column != "ingest_time"]
"""Two rows that are alike in these make the same bar. Ingest time only tells which came first."""

_FLAGS = (
    "updates_volume",
    "updates_high_low",
    "updates_open_close",
    "extended_high_low",
    "extended_open_close",
    "is_official",
    "is_closing",
    "is_corrected_close",
)


def read_rows(body: bytes, session_date: date) -> pl.DataFrame:
    """Return the rows of a raw file. Raises `InputFileError` if it is no file of this session's trades."""
    try:
        with pq.ParquetFile(BytesIO(body)) as file:
            refused = judge_file(file.metadata).refused
            if refused:
                raise InputFileError(refused)
            rows = pl.DataFrame(conformed(file.read(use_threads=False)))
    except BROKEN_FILE as error:
        raise InputFileError(one_line(error)) from error
    of_session = (pl.col("session_date") == session_date) & within_session(rows["feed"].unique(), session_date)
    if rows.height and not rows.select(of_session.fill_null(False).all()).item():
        raise InputFileError(f"it has rows of another session than {session_date}")
    return rows


def winning(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the winning row of each event id, as `domain.trade.precedence` chooses it."""
    ordered = rows.sort(
        *(column for column, _ in _PRECEDENCE), descending=[not greater_wins for _, greater_wins in _PRECEDENCE]
    )
    return ordered.unique("event_id", keep="last")


def marked(rows: pl.DataFrame, minutes: SessionMinutes) -> pl.DataFrame:
    """Add to lake rows: minute and part of the session, id as a hash, amounts in units, and what they change.

    Sorted by `order_key`. counted: volume and count; high_low, open_close: prices of the part; priced: whether its part
    makes the day's prices; apart: closing prints, which are kept one by one; closing: those that may be the close.
    """
    rows = _placed(rows.sort(_ORDER), minutes)
    effective = pl.col("status").is_in(list(EFFECTIVE_STATUSES))
    traded = effective & (pl.col("capture_mode") == "trade")
    is_regular = pl.col("part") == REGULAR_CODE
    has_shares = (pl.col("volume") > 0) | (pl.col("volume_fraction") > 0)
    counted = traded & pl.col("updates_volume") & has_shares
    makes_price = counted & pl.col("has_session") & ~pl.col("is_official")
    paid = effective & ~pl.col("is_official") & (has_shares | pl.col("volume").is_null())
    return rows.with_columns(
        id_hash=pl.col("event_id").hash(_SEED),
        price=(pl.col("price").cast(pl.Decimal(38, PRICE_SCALE)) * 10**PRICE_SCALE).cast(pl.Int64),
        shares=pl.col("volume").fill_null(0),
        share_parts=pl.col("volume_fraction").cast(pl.Int64),
        paid=paid.fill_null(False),
        eligible=(paid & pl.col("updates_open_close")).fill_null(False),
        counted=counted.fill_null(False),
        # a bar is there for any trade but an official print, which only repeats
        barred=traded & ~pl.col("is_official"),
        apart=traded & (pl.col("is_closing") | pl.col("is_corrected_close")),
        closing=(
            traded & pl.col("has_session") & ((pl.col("is_closing") & has_shares) | pl.col("is_corrected_close"))
        ).fill_null(False),
        high_low=(makes_price & pl.when(is_regular).then("updates_high_low").otherwise("extended_high_low")).fill_null(
            False
        ),
        open_close=(
            makes_price & pl.when(is_regular).then("updates_open_close").otherwise("extended_open_close")
        ).fill_null(False),
    )


def prints(rows: pl.DataFrame) -> pl.Series:
    """Return a hash of all that decides what a row changes."""
    return rows.select(_DECIDES).hash_rows(_SEED)


def _placed(rows: pl.DataFrame, minutes: SessionMinutes) -> pl.DataFrame:
    """Add each row's minute, its part of the session, and the rules for its codes."""
    minute = ((rows["event_time_ns"] - minutes.start_ns) // MINUTE_NS).cast(pl.Int32)
    rows = rows.with_columns(minute=minute).join(
        _rules(rows), on=["conditions", "tape"], how="left", maintain_order="left"
    )
    places = minute.to_numpy()
    part, priced, has_session = (np.zeros(rows.height, kind) for kind in (np.int8, np.bool_, np.bool_))
    for feed in rows["feed"].unique():
        own = (rows["feed"] == feed).to_numpy()
        part[own] = minutes.parts(feed)[places[own]]
        priced[own] = minutes.makes_prices(feed)[places[own]]
        has_session[own] = minutes.has_session(feed)
    # a closing print is of the regular part, however late it comes
    is_closing = pl.col("is_closing") | pl.col("is_corrected_close")
    return rows.with_columns(
        part=pl.Series(part), priced=pl.Series(priced), has_session=pl.Series(has_session)
    ).with_columns(
        part=pl.when(is_closing).then(pl.lit(REGULAR_CODE, pl.Int8)).otherwise("part"),
        priced=pl.col("priced") | is_closing,
    )


def _rules(rows: pl.DataFrame) -> pl.DataFrame:
    codes = rows.select("conditions", "tape").unique()
    return pl.DataFrame(
        [(*pair, *_flags(*pair)) for pair in codes.iter_rows()],
        schema={"conditions": pl.String, "tape": pl.String, **dict.fromkeys(_FLAGS, pl.Boolean)},
        orient="row",
    )


def _flags(conditions: str, tape: str) -> Iterable[bool]:
    rule = print_rule(conditions, tape)
    # outside of regular hours the mark of extended hours forbids no price
    extended = print_rule(conditions.replace("T", ""), tape)
    return (
        rule.updates_volume,
        rule.updates_high_low,
        rule.updates_open_close,
        extended.updates_high_low,
        extended.updates_open_close,
        rule.is_official_print,
        rule.is_closing,
        rule.is_corrected_close,
    )
