"""algoseek's trades: conditions as bits of a hexadecimal number, cancels that name their trade by its values.

The bits are those that QuantConnect's Lean took over from algoseek (`TradeConditionFlags.cs`).
That a cancel voids the last equal trade before it has no source: rows have no id, and only their values are left.
"""

import polars as pl

from stock_pipeline.files.corrections import CANCELS_EQUAL
from stock_pipeline.files.file_format import Declared, FileFormat
from stock_pipeline.files.values import clock_ns, day_of, local_ns, text

TRADES, CANCEL = ("TRADE", "TRADE NB"), "TRADE CANCELLED"


def _convert(rows: pl.DataFrame, _declared: Declared) -> pl.DataFrame:
    return rows.select(
        symbol=text("ticker").str.replace_all(r"\s+", "."),
        event_time_ns=local_ns(day_of(rows, "date"), clock_ns(rows, "timestamp")),
        sequence=pl.lit(None, pl.Int64),
        trade_id=pl.lit(None, pl.String),
        price=text("price"),
        volume=text("quantity"),
        exchange=text("exchange").str.replace_all(r"\s+", "_"),
        conditions=text("conditions"),
        tape=pl.lit(""),
        correction=pl.when(text("eventtype") == CANCEL).then(pl.lit(CANCELS_EQUAL)).otherwise(pl.lit("0")),
    )


def algoseek(alphabet: str) -> FileFormat:
    return FileFormat(
        "algoseek",
        frozenset({"date", "timestamp", "eventtype", "ticker", "price", "quantity", "exchange", "conditions"}),
        "sip",
        alphabet,
        _convert,
        only=("eventtype", (*TRADES, CANCEL)),
    )
