"""Compaction conserves the set of trades; planning twice plans nothing; a failure leaves the old version published."""

import zlib
from dataclasses import replace
from datetime import date
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.compaction_plan import InputFile, Manifest, plan_compaction
from stock_pipeline.domain.lake_layout import (
    VersionPrefix,
    raw_key,
    session_date_of_key,
    unreadable_key,
    version_of_key,
)
from stock_pipeline.domain.partition_head import PartitionHead
from stock_pipeline.domain.trade import Trade
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import HeadLostError, UnreadableInputError
from stock_pipeline.lake import proof, sorted_runs
from stock_pipeline.lake.row_hash import Hashes
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.support.lake import SESSION, Lake
from tests.support.oracle import winning_trades
from tests.support.strategies import trades
from tests.support.trades import trade, trade_on

files = st.lists(st.lists(trades(symbols=("ABC", "XYZ")), min_size=1, max_size=12), min_size=1, max_size=5)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(files, st.data())
def test_published_rows_do_not_depend_on_the_raw_files(split: list[list[Trade]], data: st.DataObject) -> None:
    lake = Lake()
    for number, rows in enumerate(split):
        lake.add(rows, number)
        if data.draw(st.booleans()):
            lake.compactor.compact(SESSION)
    report = lake.compactor.compact(SESSION)
    assert lake.read() == winning_trades(row for rows in split for row in rows)
    assert report.rows_in == report.rows_out + report.duplicates
    manifest = lake.manifest()
    assert len(manifest.inputs) == len(split)
    assert manifest.digest.rows == report.rows_out


def test_compacting_twice_is_a_no_op(lake: Lake) -> None:
    lake.add([trade(1), trade(2)], 1)
    first = lake.compactor.compact(SESSION)
    assert first.published
    objects = dict(lake.store.objects)
    second = lake.compactor.compact(SESSION)
    assert not second.published
    assert second.version == first.version
    assert (lake.store.objects, lake.catalog.publications) == (objects, 1)


def test_late_files_make_a_new_version_beside_the_whole_old_one(lake: Lake) -> None:
    lake.add([trade(1)], 1)
    lake.compactor.compact(SESSION)
    old = lake.published_prefix()
    lake.add([trade(0), trade(1)], 2)
    report = lake.compactor.compact(SESSION)
    assert (report.rows_in, report.rows_out, report.duplicates) == (3, 2, 1)
    assert lake.published_prefix() != old
    assert lake.keys(old)


@pytest.mark.parametrize(
    ("late", "winner"),
    [
        (trade(1, version=1, status="cancelled"), "late"),
        (trade(1, price=trade(1).price - 1), "first"),
        (trade(1, price=trade(1).price + 1), "late"),
        (trade(1, event_time_ns=trade(1).event_time_ns + 1, version=0, price=trade(0).price), "late"),
        (trade(1, event_time_ns=trade(1).event_time_ns - 1, version=9), "first"),
        (trade(1, symbol="ZZZ"), "late"),
        (trade(1, symbol="AAA"), "first"),
        (trade(1, ingest_time_ns=trade(1).ingest_time_ns - 1000), "late"),
    ],
)
def test_the_rule_chooses_the_winning_row_also_among_late_ones(lake: Lake, late: Trade, winner: str) -> None:
    lake.add([trade(0), trade(1), trade(2)], 1)
    lake.compactor.compact(SESSION)
    lake.add([late], 2)
    lake.compactor.compact(SESSION)
    chosen = [row for row in lake.read() if row.event_id == late.event_id]
    assert chosen == [late if winner == "late" else trade(1)]
    assert lake.read() == winning_trades([trade(0), trade(1), trade(2), late])


@pytest.mark.parametrize("times", [(1, 2), (1, 1)])
@pytest.mark.parametrize("hashes", [1, 2])
def test_event_ids_that_share_a_hash_are_two_trades(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, times: tuple[int, int], hashes: int
) -> None:
    """The hash has a fixed seed, so ids that share one can be made."""

    def few_hashes(ids: pl.Series) -> Hashes:
        return np.array([zlib.crc32(each.encode()) % hashes for each in ids], np.uint64)

    for module in (proof, sorted_runs):
        monkeypatch.setattr(module, "hash_ids", few_hashes)
    first, second = (trade(time, event_id=f"sim:{number}") for number, time in enumerate(times))
    lake.add([first, second, trade(5), first], 1)
    report = lake.compactor.compact(SESSION)
    assert (report.rows_in, report.rows_out) == (4, 3)
    assert lake.read() == winning_trades([first, second, trade(5)])
    broken = replace(second, event_time_ns=trade(7).event_time_ns, version=1, status="cancelled")
    lake.add([broken, trade(6)], 2)
    lake.compactor.compact(SESSION)
    assert lake.read() == winning_trades([first, broken, trade(5), trade(6)])


def test_a_session_without_raw_files_publishes_nothing(lake: Lake) -> None:
    report = lake.compactor.compact(SESSION)
    assert (report.version, report.rows_in, report.rows_out, report.published) == ("", 0, 0, False)
    assert lake.store.objects == {}
    assert lake.catalog.locations == {}


BROKEN = {
    "empty": lambda good: b"",
    "truncated": lambda good: good[: len(good) // 2],
    "one byte short": lambda good: good[:-1],
    "without its beginning": lambda good: good[len(good) // 2 :],
    # the footer, which says where everything is, is whole
    "a page overwritten": lambda good: good[:4] + bytes(200) + good[204:],
    "no Parquet": lambda good: b"symbol,price\nABC,1\n" * 10,
    "another session": lambda good: parquet_bytes(table_of_trades([trade_on(date(2018, 1, 3), 7)])),
}
"""Files that are not this session's raw files, each made of one that is."""


@pytest.mark.parametrize("kind", BROKEN)
def test_an_unreadable_file_is_named_and_the_old_version_stays(
    lake: Lake,
    kind: str,
) -> None:
    lake.add([trade(1)], 1)
    lake.compactor.compact(SESSION)
    bad = lake.add_bytes(BROKEN[kind](parquet_bytes(table_of_trades([trade(7)]))), 2)
    lake.add([trade(2)], 3)
    with pytest.raises(UnreadableInputError, match="allow-missing") as refused:
        lake.compactor.compact(SESSION)
    assert bad in str(refused.value)
    assert lake.read() == [trade(1)]

    report = lake.compactor.compact(SESSION, allow_missing=True)
    assert report.unreadable == (bad,)
    assert lake.read() == [trade(1), trade(2)]
    assert bad not in lake.store.objects
    assert unreadable_key(bad) in lake.store.objects
    again = lake.compactor.compact(SESSION)
    assert not again.published

    # corrected under the same key it is another file
    lake.add([trade(3)], 2)
    lake.compactor.compact(SESSION)
    assert lake.read() == [trade(1), trade(2), trade(3)]


def test_unreadable_files_alone_are_never_published(lake: Lake) -> None:
    lake.add_bytes(b"nothing", 1)
    with pytest.raises(UnreadableInputError, match="nothing else to publish"):
        lake.compactor.compact(SESSION, allow_missing=True)
    assert lake.catalog.locations == {}


def test_a_lost_head_is_no_reason_to_publish_less(lake: Lake) -> None:
    first = lake.add([trade(1)], 1)
    lake.compactor.compact(SESSION)
    lake.store.delete([first])
    lake.lose_heads()
    lake.add([trade(2)], 2)
    with pytest.raises(HeadLostError, match="catalog rebuild"):
        lake.compactor.compact(SESSION)
    assert lake.read() == [trade(1)]


def test_a_version_is_named_by_the_set_of_its_inputs() -> None:
    listing = [InputFile(f"raw/{n}", "etag", 1) for n in range(5)]
    shuffled = listing.copy()
    Random(1).shuffle(shuffled)
    head = PartitionHead()
    one, two = plan_compaction(SESSION, listing, head, None), plan_compaction(SESSION, shuffled, head, None)
    assert one == two
    version = one.target().version
    rewritten = plan_compaction(SESSION, [*listing[:4], InputFile("raw/4", "other", 1)], head, None)
    emptied = plan_compaction(SESSION, listing, head.deleting(frozenset()), None)
    others = {rewritten.target().version, emptied.target().version, one.target(frozenset(listing[:1])).version}
    assert len(others | {version}) == 4

    digest = TradesDigest(1, 2, 2**64 - 1, 2**63, 5, 6)
    manifest = Manifest(SESSION, version, None, one.inputs(), (), digest, 7)
    assert plan_compaction(SESSION, listing, head, manifest).is_empty
    assert Manifest.from_json(manifest.to_json()) == manifest


@given(st.dates(date(2007, 1, 1), date(2099, 12, 31)))
def test_object_keys_and_partitions_round_trip(session_date: date) -> None:
    assert session_date_of_key(raw_key(session_date, "shardId-000000000000", "1", "2", "0" * 16)) == session_date
    version = VersionPrefix(session_date, "0123456789abcdef")
    assert session_date_of_key(version.data_key) == session_date
    assert version_of_key(version.manifest_key) == "0123456789abcdef"
