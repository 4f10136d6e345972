"""Values of text columns, exact or null: New York times, prices, sizes."""

import re
from datetime import date
from fractions import Fraction

import polars as pl

from stock_pipeline.domain.trade import LATEST_EVENT_TIME_NS
from stock_pipeline.errors import InputFileError

NEW_YORK = "America/New_York"
_PLAIN = r"^\d{1,12}(\.\d{0,6}0*)?$"
_NUMBER = re.compile(r"\d{1,12}(\.\d{0,40})?([eE][+-]?\d{1,2})?")
_FRACTION = re.compile(r"(?:(\d{1,9})[ -])?(\d{1,3})/(\d{1,3})")
MILLIONTHS = pl.Decimal(38, 6)


def text(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars()


def whole_number(name: str) -> pl.Expr:
    """Read a whole number, which may be written 12.0; anything else is null."""
    return text(name).str.extract(r"^(\d{1,19})(?:\.0*)?$", 1).cast(pl.Int64, strict=False)


def instant_of_number(name: str) -> pl.Expr:
    """Read a time since 1970 in seconds, milliseconds, microseconds or nanoseconds; null for any other number.

    The unit follows from the size: between 1973 and 2100 no two units share a number. Seconds may have nine places.
    """
    value = text(name)
    whole = whole_number(name)
    seconds = value.str.extract_groups(r"^(\d{9,10})\.(\d{1,9})$")
    fraction = seconds.struct[1].str.pad_end(9, "0").cast(pl.Int64)
    of_unit = [
        pl.when(whole.is_between(10**17 // unit, LATEST_EVENT_TIME_NS // unit)).then(whole * unit)
        for unit in (1, 1_000, 1_000_000, 1_000_000_000)
    ]
    return pl.coalesce(*of_unit, seconds.struct[0].cast(pl.Int64) * 1_000_000_000 + fraction)


def day_of(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Read a date written 20180102, 2018-01-02, 02JAN2018 or, month first, 01/02/2018.

    Raises `InputFileError` if a date can only be meant day first, because then the others are too.
    """
    value = text(name)
    if rows.select(value.str.contains(r"^(1[3-9]|2\d|3[01])/\d{1,2}/\d{4}$").any()).item():
        raise InputFileError(f"dates in {name} have the day first: write them as 2018-01-31, or with the month first")
    return pl.coalesce(
        pl.when(value.str.len_bytes() == len("20180102")).then(value).str.to_date("%Y%m%d", strict=False),
        value.str.to_date("%Y-%m-%d", strict=False),
        value.str.to_date("%m/%d/%Y", strict=False),
        value.str.to_titlecase().str.to_date("%d%b%Y", strict=False),
    )


def clock_ns(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Read a time of day, 9:30:00.123456789, as nanoseconds after midnight."""
    return pl.lit(_clock(_groups(rows, name, r"^(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?$")))


def packed_clock_ns(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Read HHMMSS and milliseconds, microseconds or nanoseconds, packed, as nanoseconds after midnight.

    NYSE's files have nanoseconds since October 2016, and fewer places before. A leading zero may be lost. Any other
    length is null, because what it means can't be told.
    """
    value = text(name)
    length = value.str.len_bytes()
    digits = pl.when(value.str.contains(r"^\d+$") & length.is_in([8, 9, 11, 12, 14, 15])).then(value)
    # 8 and 9 digits make 9, 11 and 12 make 12
    whole = digits.str.zfill((length + 2) // 3 * 3).str.pad_end(15, "0")
    numbers = rows.select(number=whole.cast(pl.Int64))
    number = pl.col("number")
    parts = (number // 10**13, number // 10**11 % 100, number // 10**9 % 100, number % 10**9)
    return pl.lit(numbers.select(_of_day(*parts)).to_series())


def local_ns(day: pl.Expr, after_midnight_ns: pl.Expr, zone: str = NEW_YORK) -> pl.Expr:
    """Return an instant in nanoseconds UTC. A time that a clock shows twice is the first; one that it skips is null."""
    naive = _in_range(day).cast(pl.Datetime("ns")) + pl.duration(nanoseconds=after_midnight_ns, time_unit="ns")
    return naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.epoch("ns")


def instant_ns(rows: pl.DataFrame, name: str, zone: str = "") -> pl.Expr:
    """Read an ISO 8601 instant with an offset, or without one in a zone, to the nanosecond."""
    end = "$" if zone else r"(?:Z|([+-])(\d{2}):?(\d{2}))$"
    at = _groups(rows, name, r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?" + end)
    clocks = _clock(at.select("2", "3", "4", "5"))
    day = at["1"].str.to_date("%Y-%m-%d", strict=False)
    if zone:
        return local_ns(pl.lit(day), pl.lit(clocks), zone)
    numbers = pl.DataFrame({"day": day, "clock": clocks, "sign": at["6"], "hours": at["7"], "minutes": at["8"]})
    minutes = pl.col("hours").cast(pl.Int64) * 60 + pl.col("minutes").cast(pl.Int64)
    real = (pl.col("hours").cast(pl.Int64) <= 14) & (pl.col("minutes").cast(pl.Int64) < 60)
    signed = pl.when(pl.col("sign") == "-").then(-minutes).otherwise(minutes)
    signed = pl.when(pl.col("sign").is_null()).then(0).when(real).then(signed)
    utc = _in_range(pl.col("day")).cast(pl.Datetime("ns")).dt.epoch("ns") + pl.col("clock")
    return pl.lit(numbers.select(utc - signed * 60_000_000_000).to_series())


def exact_decimal(values: pl.Series) -> pl.Series:
    """Read numbers of up to six places; null where one has more, is negative or no number.

    Fractions of a dollar (12 3/8), as US prices were until 2001, and powers of ten (1e3) are read exactly.
    """
    texts = values.str.strip_chars()
    plain = texts.str.contains(_PLAIN)
    read = pl.select(pl.when(plain).then(texts)).to_series().cast(MILLIONTHS, strict=False)
    odd = texts.filter(~plain.fill_null(False) & texts.is_not_null()).unique()
    if odd.is_empty():
        return read
    exact = {value: decimal_text(value) for value in odd.to_list()}
    others = texts.replace_strict(list(exact), list(exact.values()), default=None, return_dtype=pl.String)
    return pl.select(pl.coalesce(read, others.cast(MILLIONTHS, strict=False))).to_series()


def scaled(integers: pl.Series, scale: int) -> pl.Series:
    """Return integers of so many decimal places as decimals; null where a text is no integer."""
    digits = integers.str.strip_chars().str.extract(r"^0*(\d{1,30})$", 1).str.zfill(scale + 1)
    return digits.str.replace(rf"^(\d+)(\d{{{scale}}})$", "$1.$2") if scale else digits


def decimal_text(value: str) -> str | None:
    """Return a number or fraction as a decimal of six places, or None if it is not exactly one."""
    fraction = _FRACTION.fullmatch(value)
    if fraction:
        whole, above, below = (int(part or 0) for part in fraction.groups())
        if not below or above >= below:
            return None
        exact = whole + Fraction(above, below)
    elif _NUMBER.fullmatch(value):
        exact = Fraction(value)
    else:
        return None
    units = exact * 10**6
    if units.denominator != 1 or units >= 10**18:
        return None
    return f"{units.numerator // 10**6}.{units.numerator % 10**6:06}"


def _in_range(day: pl.Expr) -> pl.Expr:
    """Return the date, or null where nanoseconds of 64 bits do not reach."""
    return pl.when(day.is_between(date(1900, 1, 1), date(2199, 12, 31))).then(day)


def _groups(rows: pl.DataFrame, name: str, pattern: str) -> pl.DataFrame:
    """Return the groups of a pattern as columns `1`, `2` and on, null where it does not fit.

    In columns, because polars evaluates an expression anew wherever it stands in a larger one.
    """
    return rows.select(text(name).str.extract_groups(pattern).alias("groups")).unnest("groups")


def _clock(groups: pl.DataFrame) -> pl.Series:
    """Return nanoseconds after midnight of four columns of text: hour, minute, second, fraction."""
    *whole, fraction = groups.columns
    parts = groups.select(
        pl.col(whole).cast(pl.Int64), pl.col(fraction).fill_null("").str.pad_end(9, "0").cast(pl.Int64)
    )
    return parts.select(_of_day(*(pl.col(name) for name in groups.columns))).to_series()


def _of_day(hour: pl.Expr, minute: pl.Expr, second: pl.Expr, nanoseconds: pl.Expr) -> pl.Expr:
    seconds = hour * 3600 + minute * 60 + second
    return pl.when((hour < 24) & (minute < 60) & (second < 60)).then(seconds * 1_000_000_000 + nanoseconds)
