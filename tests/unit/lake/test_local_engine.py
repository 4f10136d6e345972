"""The local engine writes the winning rows in any bounded memory; the proof finds what is wrong."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.trade import Trade
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import ProofError
from stock_pipeline.lake import curated_file, sorted_runs
from stock_pipeline.lake.proof import digest_of_file, prove
from stock_pipeline.lake.row_hash import hash_strings, hash_table
from stock_pipeline.lake.row_sort import RowSort
from stock_pipeline.trade_table import table_of_trades
from tests.support.lake import SESSION
from tests.support.oracle import winning_trades
from tests.support.raw_files import read_trades
from tests.support.strategies import trades
from tests.support.trades import trade, trade_on


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
    found = prove(expected, path, SESSION, folder / "proof")
    assert found.shares == sum(row.volume or 0 for row in winning_trades(rows))
    whole, _ = compacted(tmp_path_factory.mktemp("engine"), rows, 1000, 1000)
    assert whole.read_bytes() == path.read_bytes()

    with pytest.MonkeyPatch.context() as small:
        small.setattr("stock_pipeline.lake.row_sort.PIECE_ROWS", 4)
        small.setattr("stock_pipeline.lake.row_sort.PIECES_A_GROUP", 3)
        small.setattr("stock_pipeline.lake.hash_spill._BUFFER_ROWS", 3)
        small.setattr("stock_pipeline.lake.packed_rows.BLOCK_ROWS", 5)
        folder = tmp_path_factory.mktemp("engine")
        path, expected = compacted(folder, rows, run_rows, range_rows, contested_ids)
        assert read_trades(path) == winning_trades(rows)
        assert prove(expected, path, SESSION, folder / "proof") == found


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
    prove(engine.write(path), path, SESSION, tmp_path / "proof")
    assert read_trades(path) == winning_trades(rows)


def test_a_day_of_corrections_only_is_compared_a_few_ids_at_once(tmp_path: Path) -> None:
    rows = [trade(n, version=version, volume=100 + version) for version in (0, 1, 2) for n in range(200)]
    engine = RowSort(SESSION, tmp_path / "engine", run_rows=50, range_rows=50, contested_ids=7)
    engine.read([pl.DataFrame(table_of_trades(rows))])
    groups = [group.height for group in engine._candidates(engine._expected.contested())]
    assert sum(groups) == 600
    assert max(groups) == 7 * 3
    path = tmp_path / "written.parquet"
    prove(engine.write(path), path, SESSION, tmp_path / "proof")
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


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("lost", "rows of the inputs"),
        ("doubled", "not sorted"),
        ("swapped", "ids_hash"),
        ("shares", "rows_hash"),
        ("price", "rows_hash"),
        ("conditions", "rows_hash"),
        ("unsorted", "not sorted"),
        ("other session", "has trades of"),
    ],
)
def test_the_proof_refuses_a_file_that_is_not_its_inputs(tmp_path: Path, damage: str, complaint: str) -> None:
    rows = [trade(n) for n in range(6)]
    path, expected = compacted(tmp_path, rows, run_rows=3, range_rows=3)
    prove(expected, path, SESSION, tmp_path / "proof of the right file")
    table = table_of_trades(rows)
    damaged = {
        "lost": table.slice(0, 5),
        "doubled": table.take(pa.array([0, 1, 2, 3, 4, 4])),
        "swapped": table_of_trades([*rows[:5], trade(7)]),
        "shares": table_of_trades([*rows[:5], trade(5, volume=99)]),
        "price": table_of_trades([*rows[:5], trade(5, price=trade(5).price + 1)]),
        "conditions": table_of_trades([*rows[:5], trade(5, conditions="F")]),
        "unsorted": table.take(pa.array([0, 1, 2, 3, 5, 4])),
        "other session": table_of_trades([*rows[:5], trade_on(date(2018, 1, 3), 5)]),
    }[damage]
    pq.write_table(damaged, path)
    with pytest.raises(ProofError, match=complaint):
        prove(expected, path, SESSION, tmp_path / "proof")


def test_an_event_id_that_repeats_far_apart_is_found(tmp_path: Path) -> None:
    rows = [trade(n) for n in range(5)]
    again = trade(0, event_time_ns=trade(9).event_time_ns, sequence=9)
    pq.write_table(table_of_trades([*rows, again]), tmp_path / "file")
    with pytest.raises(ProofError, match="repeats event ids"):
        digest_of_file(tmp_path / "file", SESSION, tmp_path / "proof")


def test_hashes_are_those_that_manifests_have() -> None:
    """Manifests outlive versions of this project and of numpy: a change of these values needs another LAYOUT."""
    ids = pa.array(["", "a", "12345678", "sim:ABC:20180102:X:1", "sim:ABC:20180102:X:2", "ü" * 40, "x" * 600])
    assert [f"{value:016x}" for value in hash_strings(ids).tolist()] == RECORDED_IDS
    table = table_of_trades([trade(1), trade(2, volume=None, capture_mode="quote")])
    hashes = hash_table(table, hash_strings(table["event_id"].combine_chunks()))
    assert [f"{value:016x}" for value in hashes.tolist()] == RECORDED_ROWS


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(0, 5))
def test_a_string_has_one_hash_in_any_array(strings: list[str], skipped: int) -> None:
    array = pa.array(strings, pa.string())
    alone = [int(hash_strings(pa.array([text], pa.string()))[0]) for text in strings]
    assert hash_strings(array).tolist() == alone
    assert hash_strings(array.slice(skipped)).tolist() == alone[skipped:]
    assert len(set(alone)) == len(set(strings))


def test_one_huge_string_does_not_make_all_others_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    strings = [f"sim:{number}" for number in range(2_000)]
    padded: list[int] = []

    def watched(array: pa.Array, width: int, padding: str) -> pa.Array:
        padded.append(len(array) * width)
        return ascii_rpad(array, width, padding)

    ascii_rpad = pc.ascii_rpad
    monkeypatch.setattr(pc, "ascii_rpad", watched)
    hashes = hash_strings(pa.array([*strings, "x" * 400_000]))
    assert max(padded) < 20_000_000
    assert len(padded) < 50
    assert hashes[:-1].tolist() == hash_strings(pa.array(strings)).tolist()
    assert hashes[-1] == hash_strings(pa.array(["x" * 400_000]))[0]


RECORDED_IDS = [
    "0000000000000000",
    "14abcb00b4a6cd3e",
    "259d5319974b0022",
    "9f1776bc9688c5fa",
    "1d2b438f4b7ad323",
    "2270fd672c64fe5c",
    "d5f751300361095d",
]
RECORDED_ROWS = ["b778e548273a6997", "d417a622bc586ac8"]
