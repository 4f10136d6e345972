"""The served figures are those of the models that dbt built, for the same lake."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.lake.session_partition import SessionPartition
from stock_pipeline.serving.follower import Follower
from stock_pipeline.serving.live_bar import LiveBar
from stock_pipeline.serving.units import price_of, shares_of_units, vwap_of_units
from tests.support.built_lake import BuiltLake
from tests.support.sample_session import SAMPLE_DATE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIGURES = "open, high, low, close, volume, vwap, trade_count"


def shown(bar: LiveBar) -> tuple[Any, ...]:
    prices = [price_of(each) for each in (bar.open, bar.high, bar.low, bar.close)]
    vwap = vwap_of_units(bar.turnover, bar.priced_volume)
    return (*prices, Decimal(shares_of_units(bar.volume)), vwap, bar.trade_count)


@pytest.mark.parametrize("session_date", [SAMPLE_DATE, date(2018, 1, 3)])
def test_live_bars_equal_the_models(lake: BuiltLake, session_date: date) -> None:
    now = datetime(session_date.year, session_date.month, session_date.day, 23, tzinfo=UTC)
    store = ObjectStore(lake.client("s3"), lake.bucket)
    catalog = GlueCatalog(lake.client("glue"), lake.database, lake.bucket)
    follower = Follower(store, lambda day: SessionPartition(store, catalog, lambda: now, day), lambda: now)
    follower.look()
    session = follower.session
    assert session is not None
    assert session.session_date == session_date
    of_day = f"WHERE session_date = DATE '{session_date}'"
    minutes = lake.query(f"SELECT symbol, feed, minute_start, session_part, {FIGURES} FROM minute_bars {of_day}")
    days = lake.query(f"SELECT symbol, feed, {FIGURES} FROM daily_bars {of_day}")
    assert minutes
    assert days
    live = {
        (*key, EPOCH + timedelta(microseconds=bar.start_ns // 1000), bar.part): shown(bar)
        for key in session.series
        for bar in session.minute_bars(key)
    }
    assert live == {(*row[:2], row[2].replace(tzinfo=UTC), row[3]): row[4:] for row in minutes}
    live_days = {tuple(key): shown(bar) for key in session.series if (bar := session.day_bar(key))}
    assert live_days == {row[:2]: row[2:] for row in days}
    assert {SymbolKey(*row[:2]) for row in days} <= set(session.series)
    follower.close()
