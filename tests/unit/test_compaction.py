"""Compaction conserves the set of trades; planning twice plans nothing; a failure leaves the old version published."""

import io
from datetime import date
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.compaction_plan import InputFile, Manifest, plan_compaction
from stock_pipeline.domain.lake_layout import (
    VersionPrefix,
    curated_partition_prefix,
    raw_key,
    session_date_of_key,
    version_of_key,
)
from stock_pipeline.domain.trade import Trade, precedence
from stock_pipeline.errors import ProofError, PublishConflictError
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.proof import digest_of_inputs, prove
from stock_pipeline.lake.trade_rows import one_row_per_event_id
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades, trades_of_table
from tests.fakes.stores import FakeCatalog, FakeObjectStore
from tests.strategies import trades
from tests.trades import trade

SESSION = date(2018, 1, 2)

files = st.lists(st.lists(trades(symbols=("ABC", "XYZ")), min_size=1, max_size=12), min_size=1, max_size=5)


def standing_rows(rows: list[Trade]) -> list[Trade]:
    """The oracle: one row per event id by the domain's rule, in the lake's order."""
    standing = {row.event_id: row for row in sorted(rows, key=precedence)}
    return sorted(standing.values(), key=lambda t: (t.symbol, t.event_time_ns, t.sequence, t.event_id))


class Lake:
    def __init__(self) -> None:
        self.store, self.catalog = FakeObjectStore(), FakeCatalog()
        self.compactor = Compactor(self.store, self.catalog)

    def add(self, rows: list[Trade], number: int) -> None:
        key = raw_key(SESSION, "shardId-000000000000", str(number), str(number), "0" * 16)
        self.store.put(key, parquet_bytes(table_of_trades(rows)))

    def read(self) -> list[Trade]:
        """What a reader of the catalog sees."""
        prefix = self.catalog.locations[SESSION].removeprefix("s3://bucket/")
        (key,) = [listed.key for listed in self.store.list(prefix) if listed.key.endswith(".parquet")]
        return trades_of_table(pl.read_parquet(io.BytesIO(self.store.get(key))).to_arrow().cast(SCHEMA))


SCHEMA = table_of_trades([]).schema


@settings(max_examples=50, deadline=None)
@given(files, st.data())
def test_the_published_rows_are_the_trades_however_they_were_split_and_whenever_they_came(
    split: list[list[Trade]], data: st.DataObject
) -> None:
    lake = Lake()
    for number, rows in enumerate(split):
        lake.add(rows, number)
        if data.draw(st.booleans()):
            lake.compactor.compact(SESSION)
    report = lake.compactor.compact(SESSION)
    assert lake.read() == standing_rows([row for rows in split for row in rows])
    assert report is not None
    assert report.rows_in == report.rows_out + report.duplicates
    manifest = lake.compactor.published_manifest(SESSION)
    assert manifest is not None
    assert len(manifest.inputs) == len(split)
    assert manifest.rows == report.rows_out


@given(st.lists(trades(symbols=("ABC", "XYZ")), min_size=1, max_size=20))
def test_the_vectorised_rule_of_precedence_is_the_domains(rows: list[Trade]) -> None:
    frame = pl.DataFrame(table_of_trades(rows))
    assert trades_of_table(one_row_per_event_id(frame).to_arrow().cast(SCHEMA)) == standing_rows(rows)


def test_compacting_twice_is_a_no_op() -> None:
    lake = Lake()
    lake.add([trade(1), trade(2)], 1)
    first = lake.compactor.compact(SESSION)
    assert first is not None
    assert first.published
    objects = dict(lake.store.objects)
    second = lake.compactor.compact(SESSION)
    assert second is not None
    assert not second.published
    assert second.version == first.version
    assert (lake.store.objects, lake.catalog.publications) == (objects, 1)


def test_late_files_make_a_new_version_and_the_old_one_stays_whole() -> None:
    lake = Lake()
    lake.add([trade(1)], 1)
    lake.compactor.compact(SESSION)
    old = lake.catalog.locations[SESSION]
    lake.add([trade(0), trade(1)], 2)
    report = lake.compactor.compact(SESSION)
    assert report is not None
    assert (report.rows_in, report.rows_out, report.duplicates) == (3, 2, 1)
    assert lake.catalog.locations[SESSION] != old
    assert any(key.startswith(old.removeprefix("s3://bucket/")) for key in lake.store.objects)


def test_a_session_without_raw_files_publishes_nothing() -> None:
    lake = Lake()
    assert lake.compactor.compact(SESSION) is None
    assert lake.catalog.locations == {}


def test_a_version_published_by_another_run_meanwhile_is_not_overwritten() -> None:
    lake = Lake()
    lake.add([trade(1)], 1)

    def publish_first(done: int, total: int) -> None:
        lake.catalog.locations[SESSION] = f"s3://bucket/{curated_partition_prefix(SESSION)}v=0123456789abcdef/"

    racing = Compactor(lake.store, lake.catalog, progress=publish_first)
    with pytest.raises(PublishConflictError, match="run again"):
        racing.compact(SESSION)
    assert lake.catalog.locations[SESSION].endswith("v=0123456789abcdef/")


@pytest.mark.parametrize("damage", ["lost", "doubled", "swapped", "shares", "unsorted", "other session"])
def test_the_proof_refuses_a_file_that_is_not_its_inputs(damage: str) -> None:
    rows = [trade(n) for n in range(6)]
    frame = pl.DataFrame(table_of_trades(rows))
    written = {
        "lost": frame.head(5),
        "doubled": pl.concat([frame.head(5), frame.head(1)]),
        "swapped": pl.DataFrame(table_of_trades([*rows[:5], trade(7)])),
        "shares": pl.DataFrame(table_of_trades([*rows[:5], trade(5, volume=99)])),
        "unsorted": frame.sample(fraction=1, shuffle=True, seed=1),
        "other session": frame.with_columns(session_date=pl.lit(date(2018, 1, 3))),
    }[damage]
    prove(digest_of_inputs(frame), frame, SESSION)
    with pytest.raises(ProofError, match="session 2018-01-02"):
        prove(digest_of_inputs(frame), written, SESSION)


def test_a_version_is_named_by_the_set_of_its_inputs() -> None:
    listing = [InputFile(f"raw/{n}", "etag", 1) for n in range(5)]
    shuffled = listing.copy()
    Random(1).shuffle(shuffled)
    one, two = plan_compaction(SESSION, listing, None), plan_compaction(SESSION, shuffled, None)
    assert one == two
    assert one is not None
    rewritten = plan_compaction(SESSION, [*listing[:4], InputFile("raw/4", "other", 1)], None)
    assert rewritten is not None
    assert rewritten.target != one.target
    manifest = Manifest(SESSION, one.target.version, None, one.inputs, 1, 1)
    assert plan_compaction(SESSION, listing, manifest) is None
    assert Manifest.from_json(manifest.to_json()) == manifest


@given(st.dates(date(2007, 1, 1), date(2099, 12, 31)))
def test_object_keys_and_partitions_round_trip(session_date: date) -> None:
    assert session_date_of_key(raw_key(session_date, "shardId-000000000000", "1", "2", "0" * 16)) == session_date
    version = VersionPrefix(session_date, "0123456789abcdef")
    assert session_date_of_key(version.data_key) == session_date
    assert version_of_key(version.manifest_key) == "0123456789abcdef"
