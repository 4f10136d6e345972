"""A file is read in pieces that leave memory again, however many there are."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.lake.parquet_pieces import file_slices, parquet_pieces

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


def test_slices_are_the_rows_in_order_whatever_the_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"number": range(25), "other": range(25)}), path, row_group_size=7)
    slices = list(file_slices(path, 10, ["number"]))
    assert [rows.height for rows in slices] == [10, 10, 5]
    assert pl.concat(slices)["number"].to_list() == list(range(25))
    assert slices[0].columns == ["number"]
