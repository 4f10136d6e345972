"""The recorded session as trades. Figures and provenance: stock_pipeline/providers/files/sample/README.md."""

from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.bar import Bar
from stock_pipeline.domain.trade import Trade, provider_event_id

SAMPLE_FILE = Path(__file__).parents[2] / "stock_pipeline/providers/files/sample/xxx_2018-01-02.parquet"
SAMPLE_DATE = date(2018, 1, 2)


@lru_cache(maxsize=1)
def sample_trades() -> tuple[Trade, ...]:
    table = pq.read_table(SAMPLE_FILE)
    times = table["event_time"].cast(pa.int64()).to_pylist()
    return tuple(
        Trade(
            event_id=provider_event_id("taq", row["symbol"], SAMPLE_DATE, row["exchange"], row["sequence"]),
            feed="taq",
            capture_mode="trade",
            symbol=row["symbol"],
            event_time_ns=microseconds * 1000,
            sequence=row["sequence"],
            price=Decimal(str(row["price"])),
            volume=row["size"],
            exchange=row["exchange"],
            conditions=row["sale_condition"].replace(" ", ""),
            tape="",
            status={"0": "good", "1": "corrected", "7": "cancelled", "8": "cancelled"}.get(row["correction"], "notice"),
            version=0,
            ingest_time_ns=microseconds * 1000,
        )
        for row, microseconds in zip(table.to_pylist(), times, strict=True)
    )


def assert_is_the_published_bar(bar: Bar | None) -> None:
    """Against the bar that an independent source published for the session."""
    assert bar is not None
    prices = tuple(Decimal(text) for text in ("158.30", "159.39", "156.03", "157.04"))
    assert (bar.open, bar.high, bar.low, bar.close) == prices
    assert bar.volume == 5_108_362
