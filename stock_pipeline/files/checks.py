"""Converted rows as trades: values read exactly and held to the contract's limits, each row by itself."""

from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from stock_pipeline.domain.session import FIRST_CALENDAR_YEAR, NANOSECONDS
from stock_pipeline.domain.trade import LATEST_EVENT_TIME_NS, LONGEST_EVENT_ID
from stock_pipeline.errors import InputFileError
from stock_pipeline.files.condition_codes import WrongAlphabetError, letters_of
from stock_pipeline.files.corrections import STATUS_OF_CORRECTION
from stock_pipeline.files.values import exact_decimal

_SYMBOL = r"^[A-Za-z0-9][A-Za-z0-9.:/\-]{0,23}$"
_CODE = r"^[\x21-\x7e]{0,16}$"
_id_bytes = pl.sum_horizontal(pl.col("feed", "symbol", "exchange", "trade_id").str.len_bytes()) + len("20240103::::")
"""Of an event id made of the source's; null where it gives none."""
_EARLIEST_NS = int(datetime(FIRST_CALENDAR_YEAR, 1, 1, tzinfo=UTC).timestamp()) * NANOSECONDS


class BadRow(NamedTuple):
    """A row that is no trade. line: its number in the file, where rows set aside before it may be left out."""

    line: int
    reason: str
    text: str


class Batch(NamedTuple):
    """trades: columns of a trade but its identity, with `trade_id`, null where the source gives none."""

    trades: pl.DataFrame | None
    bad: list[BadRow]


def checked(rows: pl.DataFrame, converted: pl.DataFrame, alphabet: str, feed: str) -> Batch:
    """Return the rows that are trades, and why the others are not.

    Raises `InputFileError` if the condition codes are of another alphabet.
    """
    price = exact_decimal(converted["price"])
    # a row without a price is no trade, whatever its codes: a header in the middle, say
    converted = converted.with_columns(conditions=pl.when(price.is_not_null()).then("conditions"))
    read = converted.with_columns(
        price=price,
        volume=exact_decimal(converted["volume"]),
        exchange=pl.col("exchange").fill_null(""),
        tape=pl.col("tape").fill_null(""),
        status=_status(),
        conditions=_letters(converted, alphabet),
        feed=pl.lit(feed),
        line=rows["line"],
    )
    reason = _reason(read)
    read = read.with_columns(reason=reason)
    bad = read.filter(pl.col("reason").is_not_null())
    return Batch(
        read.filter(pl.col("reason").is_null()).drop("reason", "correction"), _bad_rows(rows, bad) if bad.height else []
    )


def _status() -> pl.Expr:
    # 00, 0 and, through a table of floats, 0.0
    code = pl.col("correction").fill_null("").str.replace(r"^0*(\d+)(?:\.0*)?$", "$1")
    return code.replace_strict(STATUS_OF_CORRECTION, default=None, return_dtype=pl.String)


def _letters(converted: pl.DataFrame, alphabet: str) -> pl.Series:
    codes = converted.select(
        pl.col("conditions").fill_null(""),
        pl.col("tape").fill_null("").alias("of_tape"),
        pl.col("exchange").fill_null("").alias("of_exchange"),
    ).with_row_index()
    distinct = codes.drop("index").unique()
    try:
        letters = [letters_of(*each, alphabet) for each in distinct.iter_rows()]
    except WrongAlphabetError as error:
        raise InputFileError(
            f"{error}: say what they are with --conditions massive, or leave them out with none"
        ) from None
    named = distinct.with_columns(pl.Series("letters", letters, pl.String))
    return codes.join(named, on=distinct.columns, how="left", maintain_order="left")["letters"]


def _reason(read: pl.DataFrame) -> pl.Expr:
    """Return why a row is no trade, or null."""
    return (
        pl.when(pl.col("symbol").fill_null("").str.contains(_SYMBOL).not_())
        .then(pl.lit("symbol is not a ticker symbol"))
        .when(pl.col("event_time_ns").is_null())
        .then(pl.lit("the time can't be read"))
        .when(pl.col("event_time_ns").is_between(_EARLIEST_NS, LATEST_EVENT_TIME_NS).not_())
        .then(pl.lit(f"the time is not between {FIRST_CALENDAR_YEAR}, where the calendar begins, and 2100"))
        .when(pl.col("price").is_null())
        .then(pl.lit("price is no number of up to 6 decimal places"))
        .when((pl.col("price") <= 0) | (pl.col("price") >= 10**12))
        .then(pl.lit("price is not above 0 and below 10^12"))
        .when(pl.col("volume").is_null())
        .then(pl.lit("size is no number of up to 6 decimal places"))
        .when(pl.col("exchange").str.contains(_CODE).not_() | pl.col("tape").str.contains(_CODE).not_())
        .then(pl.lit("exchange or tape is not a code"))
        .when(pl.col("conditions").is_null())
        .then(pl.lit("a sale condition is unknown"))
        .when(pl.col("status").is_null())
        .then(pl.lit("the correction indicator is unknown"))
        .when((_id_bytes > LONGEST_EVENT_ID) | (pl.col("trade_id").str.contains(r"\s")))
        .then(pl.lit("the id is too long or has blanks"))
        .when(_lacks_sequence(read))
        .then(pl.lit("the sequence number can't be read"))
    )


def _lacks_sequence(read: pl.DataFrame) -> pl.Expr:
    """A format has sequence numbers in all rows or in none."""
    if read["sequence"].null_count() == read.height and read["trade_id"].null_count() == read.height:
        return pl.lit(False)
    return pl.col("sequence").is_null() & pl.col("trade_id").is_null()


def _bad_rows(rows: pl.DataFrame, bad: pl.DataFrame) -> list[BadRow]:
    # a void trade of Alpaca's is two rows
    rows, bad = (each.unique("line", keep="first", maintain_order=True) for each in (rows, bad))
    texts = rows.join(bad.select("line", "reason"), on="line", how="inner").drop("line", "reason")
    joined = texts.select(pl.concat_str(pl.all().fill_null(""), separator=","))
    return [
        BadRow(*each) for each in zip(bad["line"].to_list(), bad["reason"].to_list(), joined.to_series(), strict=True)
    ]
