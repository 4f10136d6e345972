"""Computes the daily bar of one symbol and feed, the slow and plain way: tests compare the SQL models with it.

Condition codes belong to `conditions`, winning rows to `trade`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import NamedTuple

from stock_pipeline.domain.conditions import PrintRule, print_rule
from stock_pipeline.domain.feed_session import REGULAR, SESSION_PARTS, feed_session_date, session_part
from stock_pipeline.domain.session import SessionHours
from stock_pipeline.domain.trade import PRICE_UNIT, Shares, Trade, exact_shares, is_effective, order_key

_EXACT = Context(prec=80)

MINUTE_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Bar:
    """One session of one symbol and feed.

    `volume` and `trade_count` cover the date's effective trades, extended hours and odd lots included. Official prints
    repeat others and don't count. Prices come from fewer trades, and are None if none is eligible. Open and close are
    of prints that may be first or last; without any, both are the first print that may be high or low.
    """

    symbol: str
    feed: str
    session_date: date
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Shares
    vwap: Decimal | None
    """Of the trades that may be high or low, so it lies between the two; None if they have no shares. Rounded half up
    at 6 places, because a decimal division on Athena is.
    """
    trade_count: int


def daily_bar(trades: Iterable[Trade], hours: SessionHours | None) -> Bar | None:
    """Return the bar of one session, or None if nothing in it counts.

    trades: of one symbol, feed and session date, at most one row an `event_id`, in any order.
    hours: of that session; None, if the exchange was closed, leaves the prices empty.
    """
    trades = sorted(trades, key=order_key)
    counted = [trade for trade in trades if counts_in_volume(trade)]
    if not counted:
        return None
    symbol, feed, session_date = _only_key(counted)
    if hours is not None and hours.session_date != session_date:
        raise ValueError(f"the trades are of {session_date}, the hours of {hours.session_date}")

    return _bar_of(symbol, feed, session_date, counted, _price_makers(trades, hours), closing_print(trades, hours))


def session_part_bars(trades: Iterable[Trade], hours: SessionHours | None) -> dict[str, Bar]:
    """Return a session's bars by part: overnight, pre, regular, post; arguments as of `daily_bar`.

    A closing print is of the regular part, however late it comes. Volumes and counts add up to the daily bar's, and on
    the exchange's feeds the regular part has its prices.
    """
    trades = sorted(trades, key=order_key)
    closing = closing_print(trades, hours)
    bars = {}
    for part in SESSION_PARTS:
        of_part = [trade for trade in trades if part_of(trade) == part]
        counted = [trade for trade in of_part if counts_in_volume(trade)]
        its_closing = closing if closing and part_of(closing) == part else None
        of_bar = [*counted, *([its_closing] if its_closing else [])]
        if of_bar:
            symbol, feed, session_date = _only_key(of_bar)
            makers = _makers(of_part if hours is not None else [], its_closing)
            bars[part] = _bar_of(symbol, feed, session_date, counted, makers, its_closing)
    return bars


def minute_bars(trades: Iterable[Trade], hours: SessionHours | None) -> dict[tuple[int, str], Bar]:
    """Return a session's bars by minute (nanoseconds, UTC) and part; arguments as of `daily_bar`.

    A minute with trades of which none counts has a bar without prices.
    """
    trades = sorted(trades, key=order_key)
    closing = closing_print(trades, hours)
    groups: dict[tuple[int, str], list[Trade]] = {}
    for trade in trades:
        if trade is closing or (_is_traded(trade) and not _rule(trade).is_official_print):
            groups.setdefault((trade.event_time_ns // MINUTE_NS * MINUTE_NS, part_of(trade)), []).append(trade)
    bars = {}
    for place, some in groups.items():
        its_closing = closing if closing in some else None
        counted = [trade for trade in some if counts_in_volume(trade)]
        makers = _makers(some if hours is not None else [], its_closing)
        bars[place] = _bar_of(*_only_key(some), counted, makers, its_closing)
    return bars


def part_of(trade: Trade) -> str:
    """Return the part of the session to which a print belongs."""
    rule = _rule(trade)
    return REGULAR if rule.is_closing or rule.is_corrected_close else session_part(trade.event_time_ns, trade.feed)


def closing_print(trades: Iterable[Trade], hours: SessionHours | None) -> Trade | None:
    """Return the print whose price is the close, or None if the last eligible price is.

    The corrected consolidated close comes first, then the largest closing auction, the listing market's. Of equal ones,
    the last. A market's official close (`M`) is not the tape's.
    """
    if hours is None:
        return None
    candidates = [
        trade
        for trade in trades
        if _is_traded(trade) and ((_rule(trade).is_closing and trade.volume) or _rule(trade).is_corrected_close)
    ]
    return max(
        candidates,
        key=lambda trade: (_rule(trade).is_corrected_close, trade.volume or 0, order_key(trade)),
        default=None,
    )


def counts_in_volume(trade: Trade) -> bool:
    """Tell if its shares were traded. A print of none is a message about a price, and counts for nothing."""
    return _is_traded(trade) and _rule(trade).updates_volume and bool(trade.volume)


def counts_in_high_low(trade: Trade, hours: SessionHours | None) -> bool:
    return counts_in_volume(trade) and _part_rule(trade).updates_high_low and _in_price_hours(trade, hours)


def counts_in_open_close(trade: Trade, hours: SessionHours | None) -> bool:
    return counts_in_volume(trade) and _part_rule(trade).updates_open_close and _in_price_hours(trade, hours)


class _PriceMakers(NamedTuple):
    highs_and_lows: list[Trade]
    firsts_and_lasts: list[Trade]


def _price_makers(trades: Sequence[Trade], hours: SessionHours | None) -> _PriceMakers:
    """Return the eligible trades in order. A corrected close makes a price without a size."""
    closing = closing_print(trades, hours)
    return _makers([trade for trade in trades if trade is closing or _in_price_hours(trade, hours)], closing)


def _makers(trades: Sequence[Trade], closing: Trade | None) -> _PriceMakers:
    """Return the eligible ones of trades whose hour makes prices."""
    traded = [(trade, _part_rule(trade)) for trade in trades if trade is closing or counts_in_volume(trade)]
    highs_and_lows = [trade for trade, rule in traded if trade is closing or rule.updates_high_low]
    firsts_and_lasts = [trade for trade, rule in traded if trade is closing or rule.updates_open_close]
    return _PriceMakers(highs_and_lows, firsts_and_lasts or highs_and_lows[:1])


def _bar_of(
    symbol: str, feed: str, session_date: date, counted: list[Trade], makers: _PriceMakers, closing: Trade | None
) -> Bar:
    prices = [trade.price for trade in makers.highs_and_lows]
    firsts_and_lasts = makers.firsts_and_lasts
    last = closing or (firsts_and_lasts[-1] if firsts_and_lasts else None)
    return Bar(
        symbol=symbol,
        feed=feed,
        session_date=session_date,
        open=firsts_and_lasts[0].price if firsts_and_lasts else None,
        high=max(prices, default=None),
        low=min(prices, default=None),
        close=last.price if last else None,
        volume=_shares(counted),
        vwap=_vwap([trade for trade in makers.highs_and_lows if counts_in_volume(trade)]),
        trade_count=len(counted),
    )


def _rule(trade: Trade) -> PrintRule:
    return print_rule(trade.conditions, trade.tape)


def _part_rule(trade: Trade) -> PrintRule:
    """Return the rule for prices. Outside of regular hours the mark of extended hours (`T`) forbids none."""
    if part_of(trade) == REGULAR:
        return _rule(trade)
    return print_rule(trade.conditions.replace("T", ""), trade.tape)


def _is_traded(trade: Trade) -> bool:
    return trade.capture_mode == "trade" and is_effective(trade)


def _in_price_hours(trade: Trade, hours: SessionHours | None) -> bool:
    """Tell if the trade lies in regular hours; a later closing auction counts too."""
    if hours is None:
        return False
    return _rule(trade).is_closing or hours.open_ns <= trade.event_time_ns < hours.close_ns


def _shares(trades: list[Trade]) -> Shares:
    total: Shares = 0
    for trade in trades:
        volume = trade.volume or 0
        total = total + volume if isinstance(total, int) and isinstance(volume, int) else _EXACT.add(total, volume)
    return exact_shares(total)


def _vwap(trades: list[Trade]) -> Decimal | None:
    volume = _shares(trades)
    if volume == 0:
        return None
    turnover = Decimal(0)
    for trade in trades:
        turnover = _EXACT.add(turnover, _EXACT.multiply(trade.price, Decimal(trade.volume or 0)))
    return _EXACT.divide(turnover, Decimal(volume)).quantize(PRICE_UNIT, ROUND_HALF_UP, _EXACT)


def _only_key(trades: list[Trade]) -> tuple[str, str, date]:
    # one date for each distinct hour, because a New York date changes on the hour
    hours = {trade.event_time_ns // 3_600_000_000_000: trade.event_time_ns for trade in trades}
    keys = {(trade.symbol, trade.feed) for trade in trades}
    dates = {feed_session_date(event_time_ns, feed) for event_time_ns in hours.values() for _, feed in keys}
    if len(keys) != 1 or len(dates) != 1:
        raise ValueError(f"a bar is of one symbol, feed and session date, not of {sorted(keys)} on {sorted(dates)}")
    return *keys.pop(), dates.pop()
