"""The levels of a session file's prices: what `domain.price_scale` judges."""

import math
from collections import Counter
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.price_scale import PriceLevel, level_of

_DAY_NS = 86_400 * 10**9


def price_levels(table: pa.Table) -> dict[PriceLevel, int]:
    """Count rows by symbol, day of UTC and level. Rows without a time or a price above zero are left out."""
    columns = {
        "symbol": table["symbol"],
        "day": pc.divide(table["event_time"], _DAY_NS),
        "price": table["price"],
    }
    rows = pa.table(columns).group_by(["symbol", "day", "price"]).aggregate([([], "count_all")])
    levels: Counter[PriceLevel] = Counter()
    for symbol, day, price, count in zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True):
        with suppress(TypeError, ValueError):
            number = float(price)
            if symbol and day is not None and 0 < number < math.inf:
                levels[PriceLevel(symbol, day, level_of(number))] += count
    return levels
