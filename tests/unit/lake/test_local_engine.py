"""The local engine writes the winning rows in any bounded memory; the proof finds what is wrong."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.trade import Trade
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.lake import curated_file, row_sort, sorted_runs
from stock_pipeline.lake.packed_rows import Packing
from stock_pipeline.lake.proof import prove
from stock_pipeline.lake.row_sort import RowSort
from stock_pipeline.lake.winning_rows import Chosen
from stock_pipeline.trade_table import table_of_trades
from tests.support.lake import SESSION
from tests.support.oracle import winning_trades
from tests.support.raw_files import read_trades
from tests.support.strategies import trades
from tests.support.trades import trade


def compacted(
    folder: Path, rows: Sequence[Trade], run_rows: int, range_rows: int, contested_ids: int = 1000
) -> tuple[Path, TradesDigest]:
    engine = RowSort(SESSION, folder / "engine", run_rows, range_rows, contested_ids)
    engine.read([pl.DataFrame(table_of_trades(rows))])
    path = folder / "written.parquet"
    return path, engine.write(path)


@settings(max_examples=60)
@given(
    st.lists(trades(symbols=("ABC", "XYZ", "B"), ids=30), max_size=60),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_the_winning_rows_do_not_depend_on_memory(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Trade], run_rows: int, range_rows: int, contested_ids: int
) -> None:
    """Runs, ranges and groups of contested ids of any size give the same bytes."""
    folder = tmp_path_factory.mktemp("engine")
    path, expected = compacted(folder, rows, run_rows, range_rows, contested_ids)
    assert read_trades(path) == winning_trades(rows)
    found = prove(expected, path, SESSION)
    assert found.shares == sum(row.volume or 0 for row in winning_trades(rows))
    whole, _ = compacted(tmp_path_factory.mktemp("engine"), rows, 1000, 1000)
    assert whole.read_bytes() == path.read_bytes()

    with pytest.MonkeyPatch.context() as small:
        small.setattr("stock_pipeline.lake.row_sort.PIECE_ROWS", 4)
        small.setattr("stock_pipeline.lake.row_sort.PIECES_A_GROUP", 3)
        small.setattr("stock_pipeline.lake.hash_spill._BUFFER_ROWS", 3)
        small.setattr("stock_pipeline.lake.packed_rows._LARGEST_TABLE", 0)
        small.setattr("stock_pipeline.lake.proof._BATCH_ROWS", 5)
        folder = tmp_path_factory.mktemp("engine")
        path, expected = compacted(folder, rows, run_rows, range_rows, contested_ids)
        assert read_trades(path) == winning_trades(rows)
        assert prove(expected, path, SESSION) == found


def test_a_symbol_with_more_trades_than_a_range_is_cut_by_time(tmp_path: Path) -> None:
    rows = [trade(number) for number in np.random.default_rng(1).permutation(500).tolist()]
    engine = RowSort(SESSION, tmp_path / "engine", run_rows=40, range_rows=50)
    engine.read([pl.DataFrame(table_of_trades(rows))])
    sizes = [engine._runs.read(key_range).height for key_range in engine._runs.ranges(50)]
    assert sum(sizes) == 500
    assert max(sizes) <= 60
    path = tmp_path / "written.parquet"
    engine.write(path)
    assert read_trades(path) == winning_trades(rows)


def test_rows_that_come_a_few_at_a_time_are_spilled_together(tmp_path: Path) -> None:
    rows = [trade(number) for number in range(100)]
    engine = RowSort(SESSION, tmp_path / "engine", run_rows=40, range_rows=50)
    engine.read(pl.DataFrame(table_of_trades(rows[start : start + 3])) for start in range(0, 100, 3))
    engine.write(tmp_path / "written.parquet")
    with pa.ipc.open_file(tmp_path / "engine" / "runs.arrow") as runs:
        assert [runs.get_batch(number).num_rows for number in range(runs.num_record_batches)] == [39, 39, 22]
    assert read_trades(tmp_path / "written.parquet") == winning_trades(rows)


def test_a_key_range_is_put_together_from_very_many_runs(tmp_path: Path) -> None:
    rows = [trade(number) for number in range(2 * sorted_runs._PIECES_AT_ONCE + 1)]
    engine = RowSort(SESSION, tmp_path / "engine", run_rows=1)
    engine.read(pl.DataFrame(table_of_trades([row])) for row in reversed(rows))
    path = tmp_path / "written.parquet"
    prove(engine.write(path), path, SESSION)
    assert read_trades(path) == winning_trades(rows)


def test_ids_with_rows_far_apart_are_compared_a_few_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that gives corrections another time makes every row of an id lie elsewhere."""
    rows = [
        trade(n, version=version, event_time_ns=trade(n + 300 * version).event_time_ns)
        for version in (0, 1, 2)
        for n in range(200)
    ]
    compared: list[int] = []
    choose = row_sort.choose_of_contested

    def watched(contested: pl.DataFrame, packing: Packing) -> Chosen:
        compared.append(contested.height)
        return choose(contested, packing)

    monkeypatch.setattr(row_sort, "choose_of_contested", watched)
    path, expected = compacted(tmp_path, rows, run_rows=50, range_rows=50, contested_ids=7)
    assert sum(compared) == 600
    assert max(compared) == 7 * 3
    prove(expected, path, SESSION)
    assert read_trades(path) == winning_trades(rows)


def test_a_session_with_more_attributes_than_a_table_holds_is_packed(tmp_path: Path) -> None:
    """Codes that a source makes up are no few combinations."""
    rows = [trade(n, conditions=f"@{n}", exchange=f"{n}", tape=f"{n % 300}", status="good") for n in range(400)]
    path, expected = compacted(tmp_path, rows, run_rows=1000, range_rows=1000)
    prove(expected, path, SESSION)
    assert read_trades(path) == winning_trades(rows)


def test_equal_sort_keys_are_ordered_by_sequence_and_id(tmp_path: Path) -> None:
    rows = [trade(n, event_time_ns=trade(0).event_time_ns, sequence=n % 7) for n in range(100)]
    path, _ = compacted(tmp_path, rows, run_rows=9, range_rows=10)
    assert read_trades(path) == winning_trades(rows)


def test_row_groups_span_ranges_and_are_encoded_for_athena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stock_pipeline.lake.row_sort.PIECE_ROWS", 4)
    monkeypatch.setattr("stock_pipeline.lake.row_sort.PIECES_A_GROUP", 4)
    path, _ = compacted(tmp_path, [trade(n, symbol=f"S{n % 9}") for n in range(100)], run_rows=30, range_rows=25)
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [16] * 6 + [4]
    columns = {
        column.path_in_schema: column for column in map(metadata.row_group(0).column, range(metadata.num_columns))
    }
    assert all(column.compression == "ZSTD" for column in columns.values())
    assert "DELTA_BINARY_PACKED" in columns["event_time_ns"].encodings
    for name in curated_file._DICTIONARY_COLUMNS:
        assert columns[name].has_dictionary_page, name
    for name, column in columns.items():
        assert column.has_offset_index, name
        assert column.has_column_index == (name in curated_file._STATISTICS_COLUMNS), name
    assert columns["price"].physical_type == "FIXED_LEN_BYTE_ARRAY"
    symbol = metadata.schema.names.index("symbol")
    bounds = [metadata.row_group(n).column(symbol).statistics for n in range(metadata.num_row_groups)]
    assert columns["symbol"].statistics.min == "S0"
    assert (bounds[0].max, bounds[1].min, bounds[1].max, bounds[-1].min) == ("S1", "S1", "S2", "S8")


def test_a_row_group_has_a_million_rows() -> None:
    assert curated_file.PIECE_ROWS * curated_file.PIECES_A_GROUP == 1024 * 1024


@pytest.mark.parametrize(("in_memory", "order"), [(1000, 1), (1000, -1), (9, 1), (50, -1)])
def test_equal_rows_give_equal_pages_however_much_is_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int, order: int
) -> None:
    """Of several pieces a group and several pages a column, repeats included."""
    monkeypatch.setattr("stock_pipeline.lake.row_sort.PIECE_ROWS", 30)
    monkeypatch.setattr("stock_pipeline.lake.row_sort.PIECES_A_GROUP", 3)
    monkeypatch.setattr("stock_pipeline.lake.curated_file._PAGE_BYTES", 64)
    rows = [trade(n, symbol=f"S{n % 9}", conditions="AB@"[n % 3], exchange=chr(65 + n % 20)) for n in range(200)]
    whole, _ = compacted(tmp_path / "whole", rows, 1000, 1000)
    again, _ = compacted(tmp_path / "again", (rows + rows[::7])[::order], in_memory, in_memory)
    assert pq.read_metadata(whole).num_row_groups == 3
    assert again.read_bytes() == whole.read_bytes()
    assert read_trades(again.read_bytes()) == winning_trades(rows)
