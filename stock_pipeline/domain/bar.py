"""The daily bar of one symbol and feed, computed the slow and plain way.

It is the reference that the SQL models are held against on every engine; nothing in production aggregates here.
Which codes count is `conditions`; how the rows of one `event_id` are reduced to one is `trade.precedence`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

from stock_pipeline.domain.conditions import print_rule
from stock_pipeline.domain.session import SessionHours, session_date_of
from stock_pipeline.domain.trade import PRICE_UNIT, Trade, is_effective, order_key

_EXACT = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Bar:
    """One session of one symbol and feed.

    `volume`, `vwap` and `trade_count` cover the same trades, so that `vwap * volume` is the money that changed hands:
    every effective trade of the session date, extended hours and odd lots included, that no official print
    repeats. The four prices come from fewer trades, and are None if none of them is eligible.
    """

    symbol: str
    feed: str
    session_date: date
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: int
    vwap: Decimal | None
    """Rounded half up at 6 places, because that is what a decimal division on Athena does. None if volume is 0."""
    trade_count: int


def daily_bar(trades: Iterable[Trade], hours: SessionHours | None) -> Bar | None:
    """The bar of one session, or None if nothing in it counts.

    `trades` are of one symbol, feed and session date, at most one row for each `event_id`, in any order. `hours` are
    that session's; None, on a day the exchange was closed, leaves the prices empty.
    """
    counted = sorted((trade for trade in trades if counts_in_volume(trade)), key=order_key)
    if not counted:
        return None
    symbol, feed, session_date = _only_key(counted)
    if hours is not None and hours.session_date != session_date:
        raise ValueError(f"the trades are of {session_date}, the hours of {hours.session_date}")

    highs_and_lows = [trade.price for trade in counted if counts_in_high_low(trade, hours)]
    firsts_and_lasts = [trade for trade in counted if counts_in_open_close(trade, hours)]
    closing = [trade for trade in firsts_and_lasts if print_rule(trade.conditions).is_closing]
    volume = sum(trade.volume or 0 for trade in counted)
    return Bar(
        symbol=symbol,
        feed=feed,
        session_date=session_date,
        open=firsts_and_lasts[0].price if firsts_and_lasts else None,
        high=max(highs_and_lows, default=None),
        low=min(highs_and_lows, default=None),
        close=(closing or firsts_and_lasts)[-1].price if firsts_and_lasts else None,
        volume=volume,
        vwap=_vwap(counted, volume),
        trade_count=len(counted),
    )


def counts_in_volume(trade: Trade) -> bool:
    return trade.capture_mode == "trade" and is_effective(trade) and print_rule(trade.conditions).updates_volume


def counts_in_high_low(trade: Trade, hours: SessionHours | None) -> bool:
    rule = print_rule(trade.conditions)
    return counts_in_volume(trade) and rule.updates_high_low and _in_price_hours(trade, hours)


def counts_in_open_close(trade: Trade, hours: SessionHours | None) -> bool:
    rule = print_rule(trade.conditions)
    return counts_in_volume(trade) and rule.updates_open_close and _in_price_hours(trade, hours)


def _in_price_hours(trade: Trade, hours: SessionHours | None) -> bool:
    """Regular hours; the closing print counts too, although it comes after them."""
    if hours is None:
        return False
    return print_rule(trade.conditions).is_closing or hours.open_ns <= trade.event_time_ns < hours.close_ns


def _vwap(trades: list[Trade], volume: int) -> Decimal | None:
    if volume == 0:
        return None
    turnover = Decimal(0)
    for trade in trades:
        turnover = _EXACT.add(turnover, _EXACT.multiply(trade.price, Decimal(trade.volume or 0)))
    return _EXACT.divide(turnover, Decimal(volume)).quantize(PRICE_UNIT, ROUND_HALF_UP, _EXACT)


def _only_key(trades: list[Trade]) -> tuple[str, str, date]:
    # One date for each distinct hour is enough: a New York date changes on the hour.
    hours = {trade.event_time_ns // 3_600_000_000_000: trade.event_time_ns for trade in trades}
    keys = {(trade.symbol, trade.feed) for trade in trades}
    dates = {session_date_of(event_time_ns) for event_time_ns in hours.values()}
    if len(keys) != 1 or len(dates) != 1:
        raise ValueError(f"a bar is of one symbol, feed and session date, not of {sorted(keys)} on {sorted(dates)}")
    return *keys.pop(), dates.pop()
