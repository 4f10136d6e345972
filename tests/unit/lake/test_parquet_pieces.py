"""A file is read in pieces that leave memory again, however many there are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.lake.parquet_pieces import parquet_pieces

ROW_GROUP_ROWS = 20_000
ROW_GROUPS = 60


def test_all_rows_come_in_order_and_few_are_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    numbers = np.random.default_rng(1).integers(0, 2**60, ROW_GROUP_ROWS * ROW_GROUPS)
    pq.write_table(pa.table({"n": numbers, "m": numbers}), path, row_group_size=ROW_GROUP_ROWS, use_dictionary=False)
    before, most, at = pa.total_allocated_bytes(), 0, 0
    for batch in parquet_pieces(path, ROW_GROUP_ROWS, ["n"]):
        assert batch.schema.names == ["n"]
        assert np.array_equal(batch["n"].to_numpy(), numbers[at : at + batch.num_rows])
        at += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert at == len(numbers)
    assert most < 10 * ROW_GROUP_ROWS * 8


def test_columns_may_stay_codes(tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    pq.write_table(pa.table({"feed": ["iex", "sip", "iex"]}), path)
    (batch,) = parquet_pieces(path, 10, ["feed"], ["feed"])
    assert pa.types.is_dictionary(batch.schema.field("feed").type)
    assert batch["feed"].to_pylist() == ["iex", "sip", "iex"]
