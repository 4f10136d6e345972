"""Trades as an Arrow table: the schema that `streaming` fills, and `lake` rewrites.

It stands below both because neither may import the other. Nothing here reads or writes anything.
"""

from functools import lru_cache

import pyarrow as pa

from stock_pipeline.domain.trade import COLUMNS

_ARROW_TYPES = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "decimal(18,6)": pa.decimal128(18, 6),
}


@lru_cache(maxsize=1)
def trade_schema() -> pa.Schema:
    """The columns of raw and curated files, in the catalog's order. Only `volume` may be null."""
    return pa.schema(
        [
            pa.field(column.name, _ARROW_TYPES[column.sql_type], nullable=column.name == "volume")
            for column in COLUMNS
        ]
    )
