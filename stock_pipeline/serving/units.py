"""From units to decimals: what a live bar says in the lake's types."""

from decimal import Context, Decimal

from stock_pipeline.domain.trade import PRICE_SCALE

_EXACT = Context(prec=80)
_UNIT = Decimal(1).scaleb(-PRICE_SCALE)


def price_of(units: int | None) -> Decimal | None:
    """Return a price from its millionths."""
    # half the time of a number scaled
    return None if units is None else _EXACT.multiply(units, _UNIT)


def shares_of_units(units: int) -> Decimal:
    """Return shares from millionths of a share, without zeros at the end."""
    whole, parts = divmod(units, 10**6)
    return Decimal(whole) if parts == 0 else Decimal(units).scaleb(-6, _EXACT).normalize(_EXACT)


def vwap_of_units(turnover: int, shares: int) -> Decimal | None:
    """Return the mean price, rounded half up as the models do; None without shares.

    turnover: in 10^-12 dollars. shares: in millionths.
    """
    if shares == 0:
        return None
    return price_of((2 * turnover + shares) // (2 * shares))
