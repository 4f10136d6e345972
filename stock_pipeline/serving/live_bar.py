"""A live bar, made of what was added up and of the rows that are kept one by one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stock_pipeline.serving.bar_slots import EMPTY, SHARE_PARTS, TURNOVER_PARTS


class KeptRow(NamedTuple):
    """A row that may be the closing print, or one of the same instant. Compares as `domain.bar.closing_print` does."""

    is_corrected_close: bool
    shares: int
    share_parts: int
    event_time_ns: int
    sequence: int
    event_id: str
    price: int
    minute: int
    part: int
    priced: bool
    counted: bool
    high_low: bool
    open_close: bool
    barred: bool
    closing: bool


class LiveBar(NamedTuple):
    """A bar in units: prices in millionths, shares in millionths of a share, turnover in 10^-12 dollars.

    part: of the session, in which a minute's bar lies; a day's is of all.
    """

    start_ns: int
    part: str
    open: int | None
    high: int | None
    low: int | None
    close: int | None
    volume: int
    priced_volume: int
    turnover: int
    trade_count: int


def bar_of(
    sums: Mapping[str, int], kept: Sequence[KeptRow], close: KeptRow | None, start_ns: int, part: str
) -> LiveBar | None:
    """Return a slot's bar together with the kept rows that lie in it; None if it has no trade."""
    if not kept:
        return _plain_bar(sums, start_ns, part)
    firsts, lasts, alone = ([_end(sums, what)] if _has(sums, what) else [] for what in ("first", "last", "alone"))
    highs = [sums["high"]] if sums["high"] >= 0 else []
    lows = [sums["low"]] if sums["high"] >= 0 else []
    shares, priced = _whole(sums, "share"), _whole(sums, "priced_share")
    turnover = sums["turnover"] * TURNOVER_PARTS + sums["turnover_parts"]
    trades, rows = sums["trades"], sums["rows"]
    for row in kept:
        own = row.shares * SHARE_PARTS + row.share_parts
        place = (row.event_time_ns, row.sequence, row.event_id, row.price)
        is_close = close is not None and row.event_id == close.event_id
        if row.open_close or is_close:
            firsts.append(place)
            lasts.append(place)
        if row.high_low or is_close:
            alone.append(place)
            highs.append(row.price)
            lows.append(row.price)
            if row.counted:
                priced += own
                turnover += row.price * own
        if row.counted:
            shares += own
            trades += 1
        rows += row.barred or is_close
    if not rows:
        return None
    first, last = min(firsts or alone, default=None), max(lasts, default=None) or min(alone, default=None)
    closing = close.price if close is not None and any(row.event_id == close.event_id for row in kept) else None
    return LiveBar(
        start_ns,
        part,
        first[3] if first else None,
        max(highs, default=None),
        min(lows, default=None),
        closing or (last[3] if last else None),
        shares,
        priced,
        turnover,
        trades,
    )


def _plain_bar(sums: Mapping[str, int], start_ns: int, part: str) -> LiveBar | None:
    """Do `bar_of` without kept rows, as nearly all bars are, in a third of its time."""
    if not sums["rows"]:
        return None
    alone = sums["alone_price"] if sums["alone_ns"] != EMPTY["alone_ns"] else None
    has_range = sums["high"] >= 0
    return LiveBar(
        start_ns,
        part,
        sums["first_price"] if sums["first_ns"] != EMPTY["first_ns"] else alone,
        sums["high"] if has_range else None,
        sums["low"] if has_range else None,
        sums["last_price"] if sums["last_ns"] != EMPTY["last_ns"] else alone,
        sums["shares"] * SHARE_PARTS + sums["share_parts"],
        sums["priced_shares"] * SHARE_PARTS + sums["priced_share_parts"],
        sums["turnover"] * TURNOVER_PARTS + sums["turnover_parts"],
        sums["trades"],
    )


def _has(sums: Mapping[str, int], what: str) -> bool:
    return sums[f"{what}_ns"] != EMPTY[f"{what}_ns"]


def _end(sums: Mapping[str, int], what: str) -> tuple[int, int, str, int]:
    """Return a price with its place in time. No kept row is of the same instant, so the id does not matter."""
    return sums[f"{what}_ns"], sums[f"{what}_sequence"], "", sums[f"{what}_price"]


def _whole(sums: Mapping[str, int], name: str) -> int:
    return sums[f"{name}s"] * SHARE_PARTS + sums[f"{name}_parts"]
