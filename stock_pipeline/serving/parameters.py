"""What requests may ask for: names, dates and limits, checked before anything is read."""

from collections.abc import Collection
from datetime import UTC, date, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request

from stock_pipeline.domain.trade import FEED, SYMBOL

MOST_SYMBOLS = 500
MOST_BARS = 2_000
MOST_DAYS = {"1m": 10, "1d": 3_660}
"""Calendar days of one request for bars."""

FIRST_DATE, LAST_DATE = date(1993, 1, 1), date(2099, 12, 31)


def check_names(request: Request, allowed: Collection[str]) -> None:
    """Refuse parameters that nobody reads, because a misspelt one would be ignored."""
    for name in request.query_params:
        if name not in allowed:
            raise HTTPException(
                400, f"{name!r} is no parameter of this address; it takes {', '.join(allowed) or 'none'}"
            )
        if len(request.query_params.getlist(name)) > 1:
            raise HTTPException(400, f"{name} is given more than once")


def symbol_of(text: str) -> str:
    if SYMBOL.fullmatch(text) is None:
        raise HTTPException(400, f"the symbol does not match {SYMBOL.pattern}")
    return text


def symbols_of(request: Request) -> tuple[str, ...]:
    text = request.query_params.get("symbols")
    if text is None:
        return ()
    symbols = tuple(sorted({symbol_of(part) for part in text.split(",")}))
    if len(symbols) > MOST_SYMBOLS:
        raise HTTPException(400, f"symbols has {len(symbols)} names; at most {MOST_SYMBOLS} are allowed")
    return symbols


def feed_of(request: Request) -> str | None:
    feed = request.query_params.get("feed")
    if feed is not None and FEED.fullmatch(feed) is None:
        raise HTTPException(400, f"feed does not match {FEED.pattern}")
    return feed


def date_of(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or not FIRST_DATE <= day <= LAST_DATE:
        raise HTTPException(400, f"{name} takes a date such as 2026-01-15, from {FIRST_DATE} to {LAST_DATE}")
    return day


def instant_of(request: Request, name: str) -> int | None:
    """Return the nanoseconds of a second such as 2026-01-15T14:30:00Z; None if the text is not as long as one."""
    text = request.query_params.get(name, "")
    if len(text) != len("2026-01-15T14:30:00Z"):
        return None
    try:
        found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(found.timestamp()) * 10**9 if FIRST_DATE < found.date() < LAST_DATE else None


def whole_of(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not 1 <= int(text) <= most:
        raise HTTPException(400, f"{name} takes a whole number from 1 to {most}")
    return int(text)


def size_of(request: Request) -> str:
    size = request.query_params.get("size", "1m")
    if size not in MOST_DAYS:
        raise HTTPException(400, f"size takes {' or '.join(MOST_DAYS)}")
    return size
