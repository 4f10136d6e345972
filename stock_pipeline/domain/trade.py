"""`Trade`, the one event of the pipeline: fields, limits, identity, order and precedence.

JSON and Parquet belong to `streaming`, `trade_table` and `lake`.
"""

import re
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

from stock_pipeline.domain.columns import Column
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.errors import InvalidTradeError

PRICE_SCALE = 6
"""Decimal places of a price, in Parquet, SQL and DynamoDB."""

PRICE_UNIT = Decimal(1).scaleb(-PRICE_SCALE)

VOLUME_SCALE = 6
"""Decimal places of a volume: the consolidated tape has carried parts of a share to six places since 2026-02-23."""

SHARE_PARTS = 10**VOLUME_SCALE
"""The lake keeps the whole shares of a volume, and the rest in such parts of one."""

MAX_PRICE = Decimal("999999999999.999999")
"""The largest value of decimal(18, 6)."""

MAX_INT64 = 2**63 - 1

EARLIEST_EVENT_TIME_NS = 0
LATEST_EVENT_TIME_NS = 4_102_444_800 * 10**9
"""2100-01-01 UTC. A time beyond the two is a mistake of unit (seconds, milliseconds)."""

SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/\-]{0,23}")
FEED = re.compile(r"[a-z][a-z0-9_]{0,15}")
LONGEST_EVENT_ID = 96
EVENT_ID = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_EVENT_ID}}}")
CODES = re.compile(r"[\x21-\x7e]{0,16}")
"""Exchange and condition codes: printable ASCII without blanks. Empty where the source gives none."""

CAPTURE_MODES = ("trade", "quote")
"""`quote`: a polled last price (Finnhub's free API), without volume and provider id; it counts in no bar."""

STATUSES = ("good", "corrected", "cancelled", "notice")
"""`corrected` has the corrected values and counts; `cancelled` was broken later; `notice` is the tape's message about
another trade, not an execution.
"""

EFFECTIVE_STATUSES = frozenset({"good", "corrected"})

Shares = int | Decimal
"""A volume: an int if it is whole, else a decimal without trailing zeros (`exact_shares`)."""

NULLABLE_COLUMN = "volume"
"""The only column that may be null."""

ABSENT_VOLUME = -1
"""Compared in place of a missing volume; it is below every volume."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution as a venue reported it, or one version of it.

    A cancellation is a row with the same `event_id`, `event_time_ns` and `sequence`, and a higher `version`. So is a
    correction, unless its source has to give it an identity of its own.
    """

    event_id: str
    feed: str
    capture_mode: str
    symbol: str
    event_time_ns: int
    sequence: int
    price: Decimal
    volume: Shares | None
    exchange: str
    conditions: str
    tape: str
    status: str
    version: int
    ingest_time_ns: int


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Trade))


COLUMNS: tuple[Column, ...] = (
    Column("event_id", "string", "Identity of the trade: the same for every redelivery and version."),
    Column("feed", "string", "Where the trade was seen (iex, sip, taq, sim): never mix feeds in one number."),
    Column("capture_mode", "string", "trade, or quote for a polled last price without volume."),
    Column("symbol", "string", "Ticker symbol as the exchange writes it."),
    Column("event_time", "timestamp", "Venue time, UTC, cut to microseconds."),
    Column("event_time_ns", "bigint", "Venue time in nanoseconds since 1970-01-01 UTC."),
    Column("sequence", "bigint", "The source's own order among trades of one instant."),
    Column("price", "decimal(18,6)", "Price of one share, USD."),
    Column("volume", "bigint", "Whole shares of this trade; null where capture_mode is quote."),
    Column("exchange", "string", "One-letter exchange code; empty if unknown."),
    Column("conditions", "string", "Sale condition codes, one letter each, without blanks."),
    Column("tape", "string", "A, B or C; empty if unknown."),
    Column("status", "string", "good, corrected, cancelled or notice. Only the first two count."),
    Column("version", "int", "0 as first reported, higher after a correction or cancellation."),
    Column("ingest_time", "timestamp", "When the pipeline first saw the trade, UTC."),
    Column("session_date", "date", "The exchange's calendar date (New York)."),
    Column("volume_fraction", "int", "Millionths of a share, beside the whole ones of volume.", since=2, default=0),
)

SCHEMA_VERSION = max(column.since for column in COLUMNS)
"""Written into each raw file. A column that comes later is added at the end, with the next version and a default."""

PARTITION_COLUMNS: tuple[Column, ...] = (
    Column("year", "int", "Year of session_date."),
    Column("month", "int", "Month of session_date."),
    Column("day", "int", "Day of session_date."),
)


class OrderKey(NamedTuple):
    """The total order of trades of one symbol and feed, which does not depend on arrival."""

    event_time_ns: int
    sequence: int
    event_id: str


LAKE_ORDER: tuple[str, ...] = ("symbol", *OrderKey._fields)
"""The columns that sort curated files, ascending."""


class Comparison(NamedTuple):
    """A step of the choice between rows of one `event_id`."""

    field: str
    greater_wins: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The field in the lake, where ingest time is a timestamp only, and a volume has two columns."""
        if self.field == "volume":
            return "volume", "volume_fraction"
        return ("ingest_time",) if self.field == "ingest_time_ns" else (self.field,)


PRECEDENCE: tuple[Comparison, ...] = (
    Comparison("event_time_ns"),
    Comparison("sequence"),
    Comparison("version"),
    Comparison("status"),
    Comparison("price"),
    Comparison("volume"),
    Comparison("exchange"),
    Comparison("conditions"),
    Comparison("tape"),
    Comparison("capture_mode"),
    Comparison("feed"),
    Comparison("symbol"),
    Comparison("ingest_time_ns", greater_wins=False),
)
"""Chooses the winning row of an `event_id`: the first comparison in which two rows differ decides.

Time and sequence come first, so that a bounded window converges (see `moving_average`). Fields after `version` decide
only between rows that a correct source never sends. The earlier ingest time wins: the later one is a redelivery.
"""

_compared = attrgetter(*(each.field for each in PRECEDENCE))
_NULLABLE_PLACES = tuple(place for place, each in enumerate(PRECEDENCE) if each.field == NULLABLE_COLUMN)
_LESSER_WINS_PLACES = tuple(place for place, each in enumerate(PRECEDENCE) if not each.greater_wins)


def order_key(trade: Trade) -> OrderKey:
    return OrderKey(trade.event_time_ns, trade.sequence, trade.event_id)


def precedence(trade: Trade) -> tuple[Any, ...]:
    """Return the row's sort key by `PRECEDENCE`; the winning row of an `event_id` has the greatest."""
    values = list(_compared(trade))
    for place in _NULLABLE_PLACES:
        if values[place] is None:
            values[place] = ABSENT_VOLUME
    for place in _LESSER_WINS_PLACES:
        values[place] = -values[place]
    return tuple(values)


def is_effective(trade: Trade) -> bool:
    """Tell if the row is an execution that counts: neither cancelled nor a notice."""
    return trade.status in EFFECTIVE_STATUSES


def correction_content(price: Decimal, volume: Shares, conditions: str) -> str:
    """Return what tells a correction from its original, which may have the same number: 10.5x100:@F."""
    return f"{price.normalize():f}x{shares_text(volume)}:{''.join(sorted(conditions))}"


def provider_event_id(feed: str, symbol: str, session_date: date, exchange: str, trade_id: str | int) -> str:
    """Return the identity from the provider's own id, which is unique per symbol, exchange and session only.

    Not hashed, because readable ids can't collide, can be searched for, and compress well when sorted.
    """
    return f"{feed}:{symbol}:{session_date:%Y%m%d}:{exchange}:{trade_id}"


def derived_event_id(
    feed: str, symbol: str, event_time_ns: int, price: Decimal, volume: Shares | None, ordinal: int
) -> str:
    """Return an identity where the provider gives no id.

    ordinal: counts equal trades of one instant in the source's order, because a quarter of real trades have a twin.
    """
    size = "" if volume is None else shares_text(volume)
    return f"{feed}:{symbol}:{event_time_ns}:{price.normalize():f}:{size}:{ordinal}"


def check_trade(trade: Trade) -> None:
    """Raise `InvalidTradeError`, naming the field, unless every value keeps its limits. Decoders check types."""
    _match("event_id", EVENT_ID, trade.event_id)
    _match("feed", FEED, trade.feed)
    _one_of("capture_mode", CAPTURE_MODES, trade.capture_mode)
    _match("symbol", SYMBOL, trade.symbol)
    _within("event_time_ns", trade.event_time_ns, EARLIEST_EVENT_TIME_NS, LATEST_EVENT_TIME_NS)
    _within("sequence", trade.sequence, 0, MAX_INT64)
    _check_price(trade.price)
    if trade.volume is None:
        if trade.capture_mode != "quote":
            raise InvalidTradeError(Reason.VALUE, "volume is null, which only a quote may have")
    else:
        _check_volume(trade.volume)
    _match("exchange", CODES, trade.exchange)
    _match("conditions", CODES, trade.conditions)
    _match("tape", CODES, trade.tape)
    _one_of("status", STATUSES, trade.status)
    _within("version", trade.version, 0, 2**31 - 1)
    _within("ingest_time_ns", trade.ingest_time_ns, EARLIEST_EVENT_TIME_NS, LATEST_EVENT_TIME_NS)


def exact_shares(volume: Shares) -> Shares:
    """Return a volume in the form that is kept; raises `InvalidTradeError` if it is none."""
    _check_volume(volume)
    whole = int(volume)
    return whole if whole == volume else Decimal(volume).normalize()


def shares_text(volume: Shares) -> str:
    """Return a volume's digits, without an exponent: equal volumes have one text."""
    return str(volume) if isinstance(volume, int) else f"{volume.normalize():f}"


def shares_of(whole: int, fraction: int) -> Shares:
    """Return a volume from its two columns of the lake."""
    return whole if not fraction else whole + Decimal(fraction).scaleb(-VOLUME_SCALE).normalize()


def price_units(price: Decimal) -> int:
    """Return a price in millionths of a dollar; raises `ValueError` if it is no whole number of them."""
    scaled = price.scaleb(PRICE_SCALE)
    units = int(scaled)
    if units != scaled:
        raise ValueError(f"price {price} has more than {PRICE_SCALE} decimal places; check_trade refuses it")
    return units


def share_columns(volume: Shares | None) -> tuple[int | None, int]:
    """Return a volume as its two columns of the lake."""
    if volume is None:
        return None, 0
    whole = int(volume)
    return whole, 0 if isinstance(volume, int) else int((volume - whole).scaleb(VOLUME_SCALE))


def _check_volume(volume: Shares) -> None:
    if isinstance(volume, int):
        _within("volume", volume, 0, MAX_INT64)
        return
    if not volume.is_finite() or not 0 <= volume <= MAX_INT64:
        raise InvalidTradeError(Reason.VALUE, f"volume {volume:.3e} is not between 0 and {MAX_INT64}")
    if _decimal_places(volume) > VOLUME_SCALE:
        raise InvalidTradeError(Reason.VALUE, f"volume {str(volume)[:40]} has more than {VOLUME_SCALE} decimal places")


def _check_price(price: Decimal) -> None:
    if not price.is_finite():
        raise InvalidTradeError(Reason.VALUE, f"price {price} is not a number")
    if not 0 < price <= MAX_PRICE:
        raise InvalidTradeError(Reason.VALUE, f"price {price:.3e} is not above 0 and at most {MAX_PRICE}")
    if _decimal_places(price) > PRICE_SCALE:
        raise InvalidTradeError(Reason.VALUE, f"price {str(price)[:40]} has more than {PRICE_SCALE} decimal places")


def _decimal_places(number: Decimal) -> int:
    """Count decimal places without trailing zeros. `normalize` would not do, because it rounds to 28 digits."""
    _, digits, exponent = number.as_tuple()
    places = -int(exponent)
    if places <= PRICE_SCALE or not any(digits):
        return min(places, PRICE_SCALE)
    last = max(place for place, digit in enumerate(digits) if digit)
    return places - (len(digits) - 1 - last)


def _match(name: str, pattern: re.Pattern[str], value: str) -> None:
    if pattern.fullmatch(value) is None:
        shown = value if len(value) <= 40 else f"{value[:40]}… ({len(value)} characters)"
        raise InvalidTradeError(Reason.VALUE, f"{name} {shown!r} does not match {pattern.pattern}")


def _one_of(name: str, allowed: tuple[str, ...], value: str) -> None:
    if value not in allowed:
        raise InvalidTradeError(Reason.VALUE, f"{name} {value[:40]!r} is not one of {', '.join(allowed)}")


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidTradeError(Reason.VALUE, f"{name} {str(value)[:40]} is not between {low} and {high}")
