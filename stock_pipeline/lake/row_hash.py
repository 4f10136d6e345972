"""Hashes of trades, whose sums tell whether two sets of rows are the same.

They are polars', with a fixed seed. Another release of polars may hash otherwise, and nothing compares the sums of two
versions: a manifest keeps those of its own proof.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from stock_pipeline.domain.trade import COLUMNS

Hashes = npt.NDArray[np.uint64]

HASHED_COLUMNS = tuple(column.name for column in COLUMNS if column.name not in ("event_time", "session_date"))
"""All columns but those that follow from `event_time_ns`."""

_SEED = 20_180_102


def hash_ids(event_ids: pl.Series) -> Hashes:
    """Return a 64-bit hash of each event id."""
    return event_ids.hash(_SEED).to_numpy()


def hash_rows(rows: pl.DataFrame) -> Hashes:
    """Return a 64-bit hash of each row's `HASHED_COLUMNS`; price and ingest time may be plain integers."""
    numbers = (pl.col(name).to_physical().cast(pl.Int64) for name in ("price", "ingest_time"))
    return rows.select(HASHED_COLUMNS).with_columns(*numbers).hash_rows(_SEED).to_numpy()
