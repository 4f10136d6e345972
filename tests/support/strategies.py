"""Trades for property tests: few ids, times and prices, so that repeats, ties and corrections are frequent."""

from decimal import Decimal

from hypothesis import strategies as st

from stock_pipeline.domain.trade import Shares, Trade
from tests.support.trades import NOON, trade

CONDITIONS = ("", "", "I", "T", "Z", "M")
"""Of a last price, of volume only, of a price sold late, and of an official print."""

VOLUMES: tuple[Shares, ...] = (100, 100, Decimal("0.25"), 0)


def trades(symbols: tuple[str, ...] = ("ABC",), ids: int = 8, consistent: bool = False) -> st.SearchStrategy[Trade]:
    """Rows of few trades. `consistent`: an event id always has one time and sequence, as a correct source sends it."""

    def build(
        symbol: str,
        number: int,
        second: int,
        version: int,
        cents: int,
        status: str,
        ingested: int,
    ) -> Trade:
        moment = number if consistent else second
        return trade(
            event_id=f"sim:{symbol}:{number}",
            symbol=symbol,
            event_time_ns=NOON + moment // 2 * 10**9,
            sequence=moment % 2,
            version=version,
            price=Decimal(cents) / 100,
            status=status,
            # a source that gives one version twice gives it the same codes and size
            conditions=CONDITIONS[(number + version) % len(CONDITIONS)],
            volume=VOLUMES[(3 * number + version) % len(VOLUMES)],
            ingest_time_ns=NOON + ingested * 1000,
        )

    return st.builds(
        build,
        symbol=st.sampled_from(symbols),
        number=st.integers(0, ids - 1),
        second=st.integers(0, ids - 1),
        version=st.integers(0, 2),
        cents=st.integers(100, 103),
        status=st.sampled_from(["good", "good", "corrected", "cancelled", "notice"]),
        ingested=st.integers(0, 2),
    )
