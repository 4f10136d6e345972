"""A vendor's daily bars beside ours: what they must agree in, and how closely.

How our bar comes about belongs to `bar`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from stock_pipeline.domain.bar import Bar

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class VendorBar:
    """One session of one symbol, as the vendor has it: prices in USD, volume in shares."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Tolerance(NamedTuple):
    """Largest differences that are none, as shares of the vendor's value."""

    price: Decimal
    volume: Decimal


CONSOLIDATED = Tolerance(price=Decimal("0.0001"), volume=Decimal("0.002"))
ONE_VENUE = Tolerance(price=Decimal("0.001"), volume=Decimal("0.01"))
"""Open and close of one venue hang on its first and last print, which vendors choose by rules of their own."""

_BY_FEED = {"sip": CONSOLIDATED, "delayed_sip": CONSOLIDATED}


def tolerance(feed: str) -> Tolerance:
    return _BY_FEED.get(feed, ONE_VENUE)


class BarDifference(NamedTuple):
    """A value of a symbol's bar that differs; None where there is no bar, or no price."""

    symbol: str
    what: str
    ours: Decimal | None
    theirs: Decimal | None


def bar_differences(
    ours: Mapping[str, Bar], theirs: Iterable[VendorBar], asked: Iterable[str], allowed: Tolerance
) -> list[BarDifference]:
    """Return what differs by more than is allowed, by symbol.

    ours: by symbol; theirs: of the symbols that were `asked`. A vendor has no bar where no trade makes a price, and
    ours has no prices then.
    """
    by_symbol = {bar.symbol: bar for bar in theirs}
    found: list[BarDifference] = []
    for symbol in sorted({*asked, *by_symbol}):
        bar, vendors = ours.get(symbol), by_symbol.get(symbol)
        if vendors is None:
            if bar is not None and bar.close is not None:
                found.append(BarDifference(symbol, "bar", bar.close, None))
            continue
        if bar is None:
            found.append(BarDifference(symbol, "bar", None, vendors.close))
            continue
        for name in PRICES:
            price: Decimal | None = getattr(bar, name)
            found += _difference(symbol, name, price, getattr(vendors, name), allowed.price)
        found += _difference(symbol, "volume", Decimal(bar.volume), vendors.volume, allowed.volume)
    return found


def _difference(
    symbol: str, what: str, ours: Decimal | None, theirs: Decimal, allowed: Decimal
) -> Iterable[BarDifference]:
    if ours is None or abs(ours - theirs) > allowed * abs(theirs):
        yield BarDifference(symbol, what, ours, theirs)
