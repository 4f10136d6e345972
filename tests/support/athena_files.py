"""Parquet files as Athena writes them: times are INT96, which says nothing about a zone."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.trade import Trade
from stock_pipeline.trade_table import table_of_trades


def athena_file(trades: Sequence[Trade]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table_of_trades(trades), sink, use_deprecated_int96_timestamps=True, store_schema=False, row_group_size=2
    )
    return sink.getvalue().to_pybytes()
