"""SQL compacts large partitions to the same rows, with the same safety under crashes and races."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.aws.athena import Answer
from stock_pipeline.aws.athena_compaction import (
    AthenaEngine,
    Scratch,
    expected_figures,
    file_figures,
    found_figures,
    inputs,
    unload_statement,
)
from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import CURATED_PREFIX, VersionPrefix, raw_key
from stock_pipeline.domain.sql_compaction import SqlCompaction, SqlReading
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import PermanentError, ProofError, QueryFailedError, UnreadableInputError
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.footers import footer
from stock_pipeline.lake.sql_engine import SCANS
from stock_pipeline.trade_table import table_of_trades
from tests.fakes.crashes import Crashed, CrashingCatalog, CrashingObjectStore, fuses
from tests.fakes.sql_engine import FakeSqlQueries
from tests.fakes.stores import FakeObjectStore
from tests.fakes.turns import Turns, TurnTakingCatalog, TurnTakingObjectStore
from tests.support.athena_files import athena_file
from tests.support.lake import EVENING, SESSION, Lake
from tests.support.oracle import in_order, winning_trades
from tests.support.strategies import trades
from tests.support.trades import trade

FIRST = [trade(1), trade(2), trade(3)]
LATE = [trade(2), trade(3, version=1, status="cancelled"), trade(0)]


def by_sql(compactor: Compactor, store: FakeObjectStore, sql_bytes: int = 0, **options: Any) -> Compactor:
    return replace(compactor, sql_queries=FakeSqlQueries(store, **options), sql_bytes=sql_bytes)


def retyped(rows: list[Trade], column: str, kind: pa.DataType) -> bytes:
    table = table_of_trades(rows)
    place = table.schema.names.index(column)
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(place, column, table[column].cast(kind)), sink)
    return sink.getvalue().to_pybytes()


def engines_used(lake: Lake) -> list[str]:
    manifest = lake.manifest()
    return [manifest.engine, *manifest.data_files]


def test_only_partitions_beyond_the_size_go_to_the_sql_engine(lake: Lake) -> None:
    lake.add(FIRST, 1)
    size = sum(each.size for each in lake.store.list("raw/"))
    by_sql(lake.compactor, lake.store, sql_bytes=size).compact(SESSION)
    assert engines_used(lake) == ["local", "trades.parquet"]
    lake.add(LATE, 2)
    by_sql(lake.compactor, lake.store, sql_bytes=size).compact(SESSION)
    assert engines_used(lake)[0] == "athena"
    assert len(engines_used(lake)) == 3
    assert in_order(lake.read()) == winning_trades(FIRST + LATE)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.lists(trades(symbols=("ABC", "XYZ")), min_size=1, max_size=8), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
def test_the_engines_may_take_turns_on_one_partition(deliveries: list[tuple[list[Trade], bool]]) -> None:
    lake = Lake()
    for number, (rows, sql) in enumerate(deliveries):
        lake.add(rows, number)
        compactor = by_sql(lake.compactor, lake.store) if sql else lake.compactor
        report = compactor.compact(SESSION)
        assert report.rows_in == report.rows_out + report.duplicates
    assert in_order(lake.read()) == winning_trades(row for rows, _ in deliveries for row in rows)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[1:],
        lambda rows: [*rows, rows[0]],
        lambda rows: [*rows[1:], rows[1]],
        lambda rows: [replace(rows[0], price=rows[0].price + 1), *rows[1:]],
        lambda rows: [replace(rows[0], volume=99), *rows[1:]],
        lambda rows: [replace(rows[0], event_id="other"), *rows[1:]],
    ],
    ids=["lost", "doubled", "one lost and one doubled", "price", "shares", "another id"],
)
def test_only_files_equal_to_their_inputs_are_published(
    lake: Lake,
    spoil: Callable[[list[Trade]], list[Trade]],
) -> None:
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    lake.add(LATE, 2)
    with pytest.raises(ProofError, match="nothing was published"):
        by_sql(lake.compactor, lake.store, spoil=spoil).compact(SESSION)
    assert lake.read() == winning_trades(FIRST)
    by_sql(lake.compactor, lake.store, name="two").compact(SESSION)
    assert in_order(lake.read()) == winning_trades(FIRST + LATE)


def test_an_unreadable_file_is_named_and_left_out_on_demand(lake: Lake) -> None:
    lake.add(FIRST, 1)
    bad = lake.add_bytes(b"broken", 2)
    with pytest.raises(UnreadableInputError, match="allow-missing") as refused:
        by_sql(lake.compactor, lake.store).compact(SESSION)
    assert bad in str(refused.value)
    assert lake.catalog.locations == {}
    report = by_sql(lake.compactor, lake.store).compact(SESSION, allow_missing=True)
    assert report.unreadable == (bad,)
    assert in_order(lake.read()) == FIRST


@pytest.mark.parametrize(("column", "kind"), [("volume", pa.string()), ("price", pa.float64())])
def test_a_file_of_another_type_is_named_though_the_engine_names_none(column: str, kind: pa.DataType) -> None:
    lake = Lake()
    lake.add(FIRST, 1)
    bad = lake.add_bytes(retyped(FIRST[:1], column, kind), 2)
    with pytest.raises(UnreadableInputError, match=f"its column {column} is {kind}, not") as refused:
        by_sql(lake.compactor, lake.store).compact(SESSION)
    assert bad in str(refused.value)
    report = by_sql(lake.compactor, lake.store, name="two").compact(SESSION, allow_missing=True)
    assert report.unreadable == (bad,)
    assert in_order(lake.read()) == FIRST


def test_a_file_that_is_not_sorted_is_published_and_named() -> None:
    rows = [trade(n, symbol=f"S{n}") for n in range(8)]
    reports = []
    for spoil in (lambda rows: rows, lambda rows: rows[::-1]):
        lake = Lake()
        lake.add(rows, 1)
        reports.append(by_sql(lake.compactor, lake.store, spoil=spoil).compact(SESSION))
        assert in_order(lake.read()) == rows
    names = [
        f"curated/trades/year=2018/month=1/day=2/v={reports[1].version}/20180102_230000_{n:05}_one-0" for n in (0, 1)
    ]
    assert [report.unsorted for report in reports] == [(), tuple(names)]


def test_an_engine_that_fails_for_another_reason_names_no_file() -> None:
    lake = Lake()
    lake.add(FIRST, 1)
    lake.add_bytes(athena_file(LATE), 2)
    with pytest.raises(QueryFailedError, match="exhausted"):
        by_sql(lake.compactor, lake.store, failure="Query exhausted resources").compact(SESSION)


def test_a_footer_larger_than_most_is_read_whole() -> None:
    table = table_of_trades([trade(n, symbol=f"S{n:03}") for n in range(200)])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=1)
    body = sink.getvalue().to_pybytes()
    store = FakeObjectStore()
    store.put("large", body)
    found = footer(store, "large")
    assert found.serialized_size > 65_536
    assert found.equals(pq.read_metadata(pa.BufferReader(body)))


def test_a_run_that_dies_leaves_a_whole_version_and_no_remains() -> None:
    seen = set()
    for fuse in fuses(fewest=4):
        lake = Lake()
        lake.add(FIRST, 1)
        lake.compactor.compact(SESSION)
        lake.add(LATE, 2)
        store = CrashingObjectStore(lake.store, fuse)
        try:
            by_sql(lake.compactor_on(store, CrashingCatalog(lake.catalog, fuse)), store).compact(SESSION)
        except Crashed:
            seen.add(fuse.happened.split("/")[-1].split("_")[0])
        assert in_order(lake.read()) in (winning_trades(FIRST), winning_trades(FIRST + LATE))
        by_sql(lake.compactor, lake.store, name="again").compact(SESSION)
        assert in_order(lake.read()) == winning_trades(FIRST + LATE)
        for _ in range(2):
            lake.pass_time(timedelta(days=4))
            list(lake.garbage_collector().collect())
        left = lake.keys(CURATED_PREFIX)
        assert len(left) == 4, left  # head, manifest, two files
        assert in_order(lake.read()) == winning_trades(FIRST + LATE)
    assert {"20180102", ""} <= seen


@settings(max_examples=15)
@given(st.lists(st.integers(0, 1), max_size=30))
def test_two_at_once_end_in_one_right_version(schedule: list[int]) -> None:
    lake = Lake()
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    lake.add(LATE, 2)
    turns = Turns(2, schedule)

    def run(number: int) -> None:
        store = TurnTakingObjectStore(lake.store, turns, number)
        compactor = lake.compactor_on(store, TurnTakingCatalog(lake.catalog, turns, number))
        by_sql(compactor, store, name=f"run {number}").compact(SESSION)

    turns.play(lambda: run(0), lambda: run(1))
    assert in_order(lake.read()) == winning_trades(FIRST + LATE)


def test_a_version_of_several_files_is_rebuilt_from_its_manifest(lake: Lake) -> None:
    lake.add(FIRST, 1)
    by_sql(lake.compactor, lake.store).compact(SESSION)
    lake.lose_heads()
    lake.catalog.locations.clear()
    assert CatalogRebuild(lake.store, lake.catalog, lambda: lake.now, lake.unpublished).run().heads == 1
    assert in_order(lake.read()) == FIRST


class Glue:
    """Scratch tables, as far as the engine knows them."""

    bucket, database = "bucket", "stock_market"

    def __init__(self) -> None:
        self.tables: list[str] = []

    def create_scratch(self, name: str, places: dict[str, str]) -> None:
        self.tables.append(name)

    def create_scratch_list(self, name: str, location: str, column: str) -> None:
        self.tables.append(name)

    def drop_scratch(self, name: str) -> None:
        self.tables.remove(name)

    def drop_scratch_before(self, created: datetime) -> None:
        assert created == EVENING - timedelta(days=1)


class Sql:
    def __init__(self, outcome: Answer | PermanentError) -> None:
        self.outcome, self.asked = outcome, list[str]()

    def query(self, sql: str) -> Answer:
        self.asked.append(sql)
        if isinstance(self.outcome, PermanentError):
            raise self.outcome
        return self.outcome


def work_of(count: int, unreadable: int = 0) -> SqlCompaction:
    shard = "shardId-000000000000"
    keys = [raw_key(SESSION, shard, str(n), str(n), f"{n:016x}") for n in range(count + unreadable)]
    files = tuple(InputFile(key, "etag", 1) for key in keys)
    return SqlCompaction(SESSION, None, files[:count], files[count:], VersionPrefix(SESSION, "0" * 16))


def read_by_athena(outcome: Answer | PermanentError, work: SqlCompaction) -> SqlReading:
    glue, store = Glue(), FakeObjectStore()
    try:
        return AthenaEngine(Sql(outcome), glue, store, lambda: EVENING).read(work)  # type: ignore[arg-type]
    finally:
        assert (glue.tables, store.objects) == ([], {}), "scratch is left"


def test_only_the_file_that_athena_fails_on_is_named() -> None:
    bad = work_of(3).files[1]
    error = QueryFailedError(f"HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://bucket/{bad.key} (offset=0)")
    assert list(read_by_athena(error, work_of(3)).unreadable) == [bad]
    with pytest.raises(PermanentError, match="exhausted"):
        read_by_athena(QueryFailedError("Query exhausted resources"), work_of(3))


def test_rows_are_counted_file_by_file() -> None:
    good, bad, _empty = work_of(3).files
    rows = [(f"s3://bucket/{good.key}", 9, 0), (f"s3://bucket/{bad.key}", 8, 7)]
    reading = read_by_athena(Answer(("path", "trades", "strangers"), rows, 0), work_of(3))
    assert reading == SqlReading({good: 9, bad: 8}, {bad: "7 rows are not trades of session 2018-01-02"})


@pytest.mark.parametrize("files", [0, 3, 100_000])
def test_a_statement_takes_any_number_of_files(files: int) -> None:
    assert read_by_athena(Answer((), [], 0), work_of(files)) == SqlReading({}, {})


def test_no_statement_reads_its_inputs_more_often_than_the_limit_is_reckoned_with() -> None:
    work, scratch = work_of(1), Scratch("rows", "files")
    source = inputs(scratch, work, [])
    statements = [
        expected_figures(source),
        unload_statement(source, "s3://bucket/"),
        file_figures(scratch, [], SESSION),
        found_figures("rows"),
    ]
    assert [len(re.findall(r"FROM source\b", statement)) for statement in statements] == [SCANS, 1, 1, 0]


def test_a_statement_that_leaves_out_more_files_than_it_has_room_for_is_not_sent() -> None:
    with pytest.raises(PermanentError, match="262,144"):
        read_by_athena(Answer((), [], 0), work_of(1, unreadable=3_000))


def test_a_repaired_file_is_read_and_the_broken_one_of_its_key_is_not_left_out() -> None:
    glue, sql = Glue(), Sql(Answer((), [], 0))
    broken = InputFile(work_of(1).files[0].key, "another etag", 5)
    work = replace(work_of(1), unreadable=(broken, *work_of(2).files[1:]))
    AthenaEngine(sql, glue, FakeObjectStore(), lambda: EVENING).read(work)  # type: ignore[arg-type]
    (statement,) = sql.asked
    assert broken.key not in statement
    assert work_of(2).files[1].key in statement


def test_a_key_with_a_quote_stays_a_text() -> None:
    glue, sql = Glue(), Sql(Answer((), [], 0))
    broken = InputFile("raw/trades/year=2018/month=1/day=2/o'clock.parquet", "etag", 5)
    AthenaEngine(sql, glue, FakeObjectStore(), lambda: EVENING).read(replace(work_of(1), unreadable=(broken,)))  # type: ignore[arg-type]
    (statement,) = sql.asked
    assert "/o''clock.parquet'" in statement


def test_the_scratch_table_has_a_partition_for_each_place(aws_endpoint: str) -> None:
    import boto3

    session = boto3.Session("testing", "testing", region_name="us-east-1")
    glue = session.client("glue", endpoint_url=aws_endpoint)
    catalog = GlueCatalog(glue, "scratch_test", "scratch-test")
    catalog.create()
    for _ in range(2):  # a run that died has left one
        catalog.create_scratch("compaction_1", {"raw": "s3://scratch-test/raw/", "written": "s3://scratch-test/v/"})
    found = glue.get_partitions(DatabaseName="scratch_test", TableName="compaction_1")["Partitions"]
    assert {tuple(one["Values"]): one["StorageDescriptor"]["Location"] for one in found} == {
        ("raw",): "s3://scratch-test/raw/",
        ("written",): "s3://scratch-test/v/",
    }
    catalog.drop_scratch_before(datetime.now(UTC) - timedelta(hours=1))
    names = [table["Name"] for table in glue.get_tables(DatabaseName="scratch_test")["TableList"]]
    assert sorted(names) == [
        "compaction_1",
        "corporate_actions",
        "raw_trades",
        "rejected_records",
        "trades",
        "unpublished_trades",
    ]
    catalog.drop_scratch_before(datetime.now(UTC) + timedelta(hours=1))  # a day later
    names = [table["Name"] for table in glue.get_tables(DatabaseName="scratch_test")["TableList"]]
    assert sorted(names) == ["corporate_actions", "raw_trades", "rejected_records", "trades", "unpublished_trades"]
    catalog.drop_scratch("compaction_1")
