"""The proof finds what is wrong, in the written file as in what the engine did with the rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.trade import LAKE_ORDER, Trade, precedence
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import ProofError
from stock_pipeline.lake import row_sort
from stock_pipeline.lake.packed_rows import Packing
from stock_pipeline.lake.proof import DroppedRows, prove
from stock_pipeline.lake.row_sort import RowSort
from stock_pipeline.lake.winning_rows import Chosen
from stock_pipeline.trade_table import table_of_trades
from tests.support.lake import SESSION
from tests.support.raw_files import read_trades
from tests.support.strategies import trades
from tests.support.trades import trade, trade_on


def compacted(folder: Path, rows: Sequence[Trade]) -> tuple[Path, TradesDigest]:
    engine = RowSort(SESSION, folder / "engine", run_rows=3)
    engine.read([pl.DataFrame(table_of_trades(rows))])
    path = folder / "written.parquet"
    return path, engine.write(path)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("lost", "rows of the inputs"),
        ("doubled", "not sorted"),
        ("swapped", "ids_hash"),
        ("an id again, far apart", "ids_hash"),
        ("shares", "rows_hash"),
        ("price", "rows_hash"),
        ("conditions", "rows_hash"),
        ("unsorted", "not sorted"),
        ("other session", "has trades of"),
        ("seen at another time", "rows_hash"),
        ("torn time", "event_time that is not"),
        ("cut", "can't be read"),
    ],
)
def test_the_proof_refuses_a_file_that_is_not_its_inputs(tmp_path: Path, damage: str, complaint: str) -> None:
    rows = [trade(n) for n in range(6)]
    path, expected = compacted(tmp_path, rows)
    prove(expected, path, SESSION)
    table = table_of_trades(rows)
    seen_later = replace(rows[5], ingest_time_ns=rows[5].ingest_time_ns + 1000)
    times = table["event_time"].take(pa.array([0, 1, 2, 3, 4, 4]))
    damaged = {
        "lost": table.slice(0, 5),
        "doubled": table.take(pa.array([0, 1, 2, 3, 4, 4])),
        "swapped": table_of_trades([*rows[:5], trade(7)]),
        "an id again, far apart": table_of_trades([*rows[:5], replace(rows[5], event_id=rows[0].event_id)]),
        "shares": table_of_trades([*rows[:5], trade(5, volume=99)]),
        "price": table_of_trades([*rows[:5], trade(5, price=trade(5).price + 1)]),
        "conditions": table_of_trades([*rows[:5], trade(5, conditions="F")]),
        "unsorted": table.take(pa.array([0, 1, 2, 3, 5, 4])),
        "other session": table_of_trades([*rows[:5], trade_on(date(2018, 1, 3), 5)]),
        "seen at another time": table_of_trades([*rows[:5], seen_later]),
        "torn time": table.set_column(table.column_names.index("event_time"), "event_time", times),
        "cut": table,
    }[damage]
    pq.write_table(damaged, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ProofError, match=complaint):
        prove(expected, path, SESSION)


def _first(chosen: Chosen) -> pl.DataFrame:
    return chosen.winning.head(1)


WRONG: dict[str, Callable[[Chosen], Chosen]] = {
    "a row is left out": lambda right: right._replace(winning=right.winning.slice(1)),
    "a row is left out and its neighbour written twice": lambda right: right._replace(
        winning=pl.concat([right.winning.slice(1), right.winning.slice(1).head(1)])
    ),
    "a row is written twice": lambda right: right._replace(winning=pl.concat([_first(right), right.winning])),
    "a row is said to lose to another one": lambda right: right._replace(
        winning=right.winning.slice(1), losing=pl.concat([right.losing, _first(right)])
    ),
    "a row is said to lose to itself": lambda right: right._replace(
        winning=right.winning.slice(1),
        losing=pl.concat([right.losing, _first(right)]),
        beat=pl.concat([right.beat, _first(right)]),
    ),
    "the losing rows are written": lambda right: right._replace(
        winning=right.losing.unique("event_id"), losing=right.beat, beat=right.losing.unique("event_id")
    ),
    "a losing row is written too": lambda right: right._replace(
        winning=pl.concat([right.winning, right.losing.head(1)]), losing=right.losing.slice(1)
    ),
    "a price is another": lambda right: right._replace(winning=right.winning.with_columns(pl.col("price") + 1)),
    "a losing row's price is another": lambda right: right._replace(
        losing=right.losing.with_columns(price=pl.lit(1, pl.Int64))
    ),
    "prices are swapped": lambda right: right._replace(
        winning=right.winning.with_columns(pl.col("price").reverse(), pl.col("volume").reverse())
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_proof_refuses_what_a_wrong_engine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Of one range of four ids, one of them in three versions."""
    rows = [trade(n, price=trade(n).price + n) for n in range(4)]
    rows += [replace(rows[0], version=version, price=rows[0].price + 10 * version) for version in (1, 2)]
    (tmp_path / "right").mkdir()
    path, expected = compacted(tmp_path / "right", rows)
    prove(expected, path, SESSION)

    choose = row_sort.choose_rows

    def wrongly(packed: pl.DataFrame, packing: Packing) -> Chosen:
        chosen = choose(packed, packing)
        return WRONG[wrong](chosen) if chosen.losing.height else chosen

    monkeypatch.setattr(row_sort, "choose_rows", wrongly)
    with pytest.raises(ProofError):
        prove(compacted(tmp_path, rows)[1], tmp_path / "written.parquet", SESSION)


@given(st.lists(trades(), min_size=2, max_size=2), st.booleans())
def test_a_row_is_dropped_only_for_one_of_its_id_that_the_rule_prefers(pair: list[Trade], is_neighbour: bool) -> None:
    loser, winner = pair
    if is_neighbour:
        winner = replace(winner, event_id=loser.event_id, event_time_ns=loser.event_time_ns, sequence=loser.sequence)
    losing, beat = (pl.DataFrame(table_of_trades([row])) for row in (loser, winner))
    same = LAKE_ORDER if is_neighbour else ("event_id",)
    dropped = DroppedRows(SESSION)
    if winner.event_id == loser.event_id and precedence(winner) >= precedence(loser):
        dropped.add(losing, beat, same)
        assert dropped.rows == 1
    else:
        with pytest.raises(ProofError, match=loser.event_id):
            dropped.add(losing, beat, same)


@pytest.mark.parametrize("by", [LAKE_ORDER, ("event_id",)])
def test_a_quote_without_volume_loses_to_a_trade_with_one(by: Sequence[str]) -> None:
    quote, sized = trade(1, volume=None, capture_mode="quote"), trade(1, volume=0, capture_mode="quote")
    losing, beat = (pl.DataFrame(table_of_trades([row])) for row in (quote, sized))
    DroppedRows(SESSION).add(losing, beat, by)
    with pytest.raises(ProofError, match="no row of its event id beats"):
        DroppedRows(SESSION).add(beat, losing, by)


def test_equal_rows_read_back_are_those_that_were_written(tmp_path: Path) -> None:
    rows = [trade(n) for n in range(9)]
    path, expected = compacted(tmp_path, [*rows, *rows[::2]])
    assert prove(expected, path, SESSION).rows == 9
    assert read_trades(path) == rows
