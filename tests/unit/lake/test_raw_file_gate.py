"""The gate takes in the same files whatever lies beside them, by either engine, and names every other one."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.errors import UnreadableInputError
from stock_pipeline.lake.session_counts import count_raw
from stock_pipeline.trade_table import SCHEMA_VERSION_KEY, table_of_trades
from tests.fakes.sql_engine import FakeSqlQueries
from tests.support.lake import SESSION, Lake
from tests.support.oracle import in_order, winning_trades
from tests.support.trades import trade

Change = Callable[[pa.Table], pa.Table]


def cast(column: str, kind: pa.DataType) -> Change:
    def change(table: pa.Table) -> pa.Table:
        place = table.column_names.index(column)
        return table.set_column(place, pa.field(column, kind), table[column].cast(kind, safe=False))

    return change


def extra(name: str, kind: pa.DataType) -> Change:
    return lambda table: table.append_column(name, pa.nulls(table.num_rows, kind))


ADMITTED: Mapping[str, Change] = {
    "as declared": lambda table: table,
    "narrow volume": cast("volume", pa.int32()),
    "narrow version": cast("version", pa.int8()),
    "unsigned version": cast("version", pa.uint16()),
    "large strings": cast("symbol", pa.large_string()),
    "dictionary": cast("conditions", pa.dictionary(pa.int32(), pa.string())),
    "narrow price": cast("price", pa.decimal128(9, 2)),
    "times of Athena": cast("event_time", pa.timestamp("ms")),
    "nanoseconds": cast("ingest_time", pa.timestamp("ns", tz="America/New_York")),
    "an extra column": extra("venue", pa.string()),
    "extra columns": lambda table: extra("a", pa.int8())(extra("b", pa.list_(pa.int8()))(table)),
    "columns in another order": lambda table: table.select(table.column_names[::-1]),
    "no rows, nor a type": lambda table: extra("volume", pa.null())(table.drop_columns("volume")).slice(0, 0),
}
REFUSED: Mapping[str, tuple[Change, str]] = {
    "no price": (lambda table: table.drop_columns("price"), "no column price"),
    "no volume": (lambda table: table.drop_columns("volume"), "no column volume"),
    "price as float": (cast("price", pa.float64()), "its column price is double"),
    "price with more places": (cast("price", pa.decimal128(20, 8)), r"its column price is decimal128\(20, 8\)"),
    "wide version": (cast("version", pa.int64()), "its column version is int64"),
    "unsigned volume": (cast("volume", pa.uint64()), "its column volume is uint64"),
    "times as numbers": (cast("event_time", pa.int64()), "its column event_time is int64"),
    "symbols as bytes": (cast("symbol", pa.binary()), "its column symbol is binary"),
    "a newer version without its column": (
        lambda table: table.drop_columns("tape").replace_schema_metadata({SCHEMA_VERSION_KEY: "2"}),
        "no column tape",
    ),
}


def changed(rows: list[int], change: Change) -> bytes:
    sink = io.BytesIO()
    table = table_of_trades([trade(number) for number in rows])
    table = table.set_column(table.column_names.index("volume"), "volume", pa.array([100] * len(rows), pa.int64()))
    pq.write_table(change(table), sink)
    return sink.getvalue()


def expected(numbers: list[int]) -> list[object]:
    return winning_trades(trade(number, volume=100) for number in numbers)  # type: ignore[return-value]


kinds = st.sampled_from([*ADMITTED, *REFUSED])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(kinds, min_size=1, max_size=8), st.sampled_from(["local", "athena"]))
def test_a_file_is_judged_by_itself_whatever_lies_beside_it(some: list[str], engine: str) -> None:
    lake, good, bad = Lake(), list[int](), list[str]()
    compactor = lake.compactor
    if engine == "athena":
        compactor = replace(compactor, sql_queries=FakeSqlQueries(lake.store))
    lake.add([trade(0, volume=100)], 0)
    for number, kind in enumerate(some, start=1):
        change = ADMITTED.get(kind) or REFUSED[kind][0]
        rows = [] if kind.startswith("no rows") else [number, number + 100]
        key = lake.add_bytes(changed(rows or [number], change), number)
        if kind in ADMITTED:
            good += rows
        else:
            bad.append(key)
    if bad:
        with pytest.raises(UnreadableInputError) as refused:
            compactor.compact(SESSION)
        assert all(key in str(refused.value) for key in bad)
    report = compactor.compact(SESSION, allow_missing=True)
    assert sorted(report.unreadable) == sorted(bad)
    assert in_order(lake.read()) == expected([0, *good])
    assert ("venue" in report.ignored) == ("an extra column" in some)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_file_is_named_with_what_is_wrong(lake: Lake, kind: str) -> None:
    change, reason = REFUSED[kind]
    lake.add_bytes(changed([1], change), 1)
    with pytest.raises(UnreadableInputError, match=reason):
        lake.compactor.compact(SESSION)


def test_a_session_with_narrower_columns_goes_to_this_machine(lake: Lake) -> None:
    lake.add([trade(0, volume=100)], 1)
    lake.add_bytes(changed([1], ADMITTED["narrow volume"]), 2)
    report = replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store)).compact(SESSION)
    assert "narrower type" in report.notes[0]
    assert lake.manifest().engine == "local"


def not_utf8(body: bytes) -> bytes:
    """A symbol that is no text, under a whole footer."""
    return body.replace(b"ABC", b"A\xffC")


def broken_footer(body: bytes) -> bytes:
    """A column's name that is no text."""
    return body.replace(b"conditions", b"condit\xffons")


BROKEN: Mapping[str, Callable[[bytes], bytes]] = {
    "texts that are no UTF-8": not_utf8,
    "names that are no UTF-8": broken_footer,
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("beside", [0, 1])
def test_a_broken_file_is_named_whatever_it_makes_the_readers_raise(lake: Lake, kind: str, beside: int) -> None:
    sink = io.BytesIO()
    pq.write_table(table_of_trades([trade(1)]), sink, compression="none", use_dictionary=False)
    body = BROKEN[kind](sink.getvalue())
    assert body != sink.getvalue()
    key = lake.add_bytes(body, 1)
    lake.add([trade(2)], 2)
    for number in range(beside):
        lake.add([trade(3)], 3 + number)
    with pytest.raises(UnreadableInputError, match=key):
        lake.compactor.compact(SESSION)


@pytest.mark.parametrize("engine", ["local", "athena"])
@pytest.mark.parametrize("version", ["9" * 5000, "0", "00", "-1", "²", "1e9", ""])
def test_a_file_with_a_strange_schema_version_is_held_to_ours(lake: Lake, engine: str, version: str) -> None:
    def strange(table: pa.Table) -> pa.Table:
        return table.replace_schema_metadata({SCHEMA_VERSION_KEY: version.encode()})

    compactor = lake.compactor
    if engine == "athena":
        compactor = replace(compactor, sql_queries=FakeSqlQueries(lake.store))
    lake.add_bytes(changed([1], strange), 1)
    bad = lake.add_bytes(changed([2], lambda table: strange(table.drop_columns("volume"))), 2)
    with pytest.raises(UnreadableInputError, match=f"{bad}: it has no column volume"):
        compactor.compact(SESSION)
    compactor.compact(SESSION, allow_missing=True)
    assert lake.read() == expected([1])
    assert not lake.manifest().lacks_columns


UNCOUNTED: Mapping[str, bytes] = {
    "no event ids": changed([1], lambda table: table.drop_columns("event_id")),
    "event ids twice": changed([1], lambda table: table.append_column("event_id", table["event_id"])),
    "price as float": changed([1], REFUSED["price as float"][0]),
    "names that are no UTF-8": broken_footer(changed([1], lambda table: table)),
}


@pytest.mark.parametrize("kind", UNCOUNTED)
def test_a_file_that_is_not_compacted_is_not_counted_either(lake: Lake, tmp_path: Path, kind: str) -> None:
    bad = lake.add_bytes(UNCOUNTED[kind], 1)
    lake.add([trade(2)], 2)
    counted = count_raw(lake.store, lake.partition.raw_files(), tmp_path)
    assert counted.unreadable == (bad,)
    assert [counts.trades for counts in counted.counts.values()] == [1]
