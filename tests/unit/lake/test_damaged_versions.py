"""A published version that lost objects is named: it is made again, or said to be lost, and never built on."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.errors import DamagedVersionError, ProofError, RetryableError
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.published_rows import published_findings
from stock_pipeline.lake.sql_engine import SCANS
from tests.fakes.sql_engine import FakeSqlQueries
from tests.support.damage import (
    DAMAGES,
    FIRST,
    LATE,
    TORN,
    break_pages,
    collect,
    data_key,
    manifest_key,
    rebuild,
    write_in,
)
from tests.support.lake import SESSION, Lake
from tests.support.oracle import in_order, winning_trades
from tests.support.trades import trade


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_made_again_from_its_raw_files(published: Lake, compactor: Compactor, damage: str) -> None:
    damaged = published.published_prefix()
    DAMAGES[damage](published)
    report = compactor.compact(SESSION)
    assert report.published
    assert damaged in report.repaired
    assert published.published_prefix() != damaged
    assert in_order(published.read()) == winning_trades(FIRST + LATE)
    assert not compactor.compact(SESSION).published
    collect(published)
    assert published.keys(damaged) == []
    assert in_order(published.read()) == winning_trades(FIRST + LATE)


@pytest.mark.parametrize("damage", DAMAGES | TORN)
def test_nothing_is_collected_of_a_session_whose_version_is_damaged(published: Lake, damage: str) -> None:
    (DAMAGES | TORN)[damage](published)
    before = dict(published.store.objects)
    with pytest.raises(DamagedVersionError, match="compact --session"):
        collect(published)
    assert published.store.objects == before


def test_other_sessions_are_collected_before_a_damaged_one_is_told(published: Lake) -> None:
    published.store.delete([data_key(published)])
    other = published.other_session()
    published.pass_time(timedelta(days=4))
    with pytest.raises(DamagedVersionError, match="2018-01-02"):
        for _ in published.garbage_collector().collect():
            pass
    assert published.keys(RAW_PREFIX + other) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_lost_is_said_and_the_rest_published_only_on_request(
    published: Lake, compactor: Compactor, damage: str
) -> None:
    collect(published)
    DAMAGES[damage](published)
    published.add([trade(7)], 7)
    with pytest.raises(DamagedVersionError, match=r"2 raw files .* are gone.*allow-missing"):
        compactor.compact(SESSION)
    report = compactor.compact(SESSION, allow_missing=True)
    assert len(report.unreadable) == 2
    assert published.read() == [trade(7)]
    assert len(published.manifest().lost) == 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_older_whole_version_is_gone_on_from(lake: Lake, compactor: Compactor, damage: str) -> None:
    first = lake.add(FIRST, 1)
    compactor.compact(SESSION)
    lake.add(LATE, 2)
    compactor.compact(SESSION)
    lake.store.delete([first])  # its trades are in the older version
    DAMAGES[damage](lake)
    compactor.compact(SESSION)
    assert in_order(lake.read()) == winning_trades(FIRST + LATE)


@pytest.mark.parametrize("damage", DAMAGES)
def test_planning_and_status_see_the_damage_that_compaction_sees(published: Lake, damage: str) -> None:
    DAMAGES[damage](published)
    assert published.compactor.plan(SESSION).damage
    version = published.partition.published()
    assert version is not None
    assert not version.is_whole


def test_a_copy_of_the_data_under_another_etag_is_whole(published: Lake) -> None:
    """A version of the bucket that is restored by a copy in parts has an etag of its own."""
    manifest = published.manifest()
    write_in(published, manifest_key(published), data_etags=["another"] * len(manifest.data_files))
    version = published.partition.published()
    assert version is not None
    assert version.is_whole
    assert published.compactor.plan(SESSION).is_empty


@pytest.mark.parametrize("damage", DAMAGES | TORN)
def test_rebuild_and_check_name_a_damaged_version(published: Lake, damage: str) -> None:
    version = published.manifest().version
    (DAMAGES | TORN)[damage](published)
    with pytest.raises(DamagedVersionError, match=f"2018-01-02: version {version} is damaged"):
        rebuild(published)
    findings = published_findings(published.partition)
    assert findings is not None
    assert findings.damage


def test_a_version_that_is_being_deleted_is_not_published(lake: Lake) -> None:
    """A run died between manifest and head; days later a rebuild reads the head that collection has just marked."""
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    version = lake.published_prefix()
    lake.lose_heads()
    lake.catalog.locations.clear()
    lake.pass_time(timedelta(days=4))
    partition = lake.partition
    stored = partition.head()
    partition.change_head(
        stored, stored.head.deleting(frozenset({lake.compactor.partition(SESSION).versions()[0].name}))
    )
    rebuild(lake)
    assert lake.catalog.locations == {}
    lake.store.delete(lake.keys(version))
    lake.compactor.compact(SESSION)
    assert lake.read() == winning_trades(FIRST)


def test_rows_that_the_sql_engine_does_not_see_are_missed_file_by_file(lake: Lake) -> None:
    key = lake.add(FIRST, 1)
    lake.add(FIRST + LATE, 2)
    blind = replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store, left_out={key}))
    with pytest.raises(ProofError, match=r"0 rows of .*its footer says 3"):
        blind.compact(SESSION)


def test_a_file_repaired_under_its_key_is_compacted_by_either_engine(lake: Lake, compactor: Compactor) -> None:
    lake.add(FIRST, 1)
    lake.add_bytes(b"broken", 2)
    lake.compactor.compact(SESSION, allow_missing=True)
    lake.add(LATE, 2)
    lake.add([trade(9)], 3)
    compactor.compact(SESSION)
    assert in_order(lake.read()) == winning_trades([*FIRST, *LATE, trade(9)])


def test_only_an_unreadable_late_file_is_left_out_by_either_engine(lake: Lake, compactor: Compactor) -> None:
    lake.add(FIRST, 1)
    compactor.compact(SESSION)
    bad = lake.add_bytes(b"broken", 2)
    report = compactor.compact(SESSION, allow_missing=True)
    assert report.unreadable == (bad,)
    assert in_order(lake.read()) == winning_trades(FIRST)


def test_the_limit_counts_raw_files_that_are_in_the_base_already(lake: Lake) -> None:
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    lake.add(LATE, 2)
    size = lake.compactor.plan(SESSION).size
    cutoff = SCANS * size + 1
    limited = replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store, cutoff=cutoff))
    engine, why = limited.choose_engine(limited.plan(SESSION))
    assert (engine.name, f"bytes_scanned_cutoff is {cutoff:,}" in why) == ("local", True)
    lake.store.delete([lake.keys(RAW_PREFIX)[0]])
    assert limited.choose_engine(limited.plan(SESSION)).engine.name == "athena"


def test_a_session_beyond_the_workgroups_limit_goes_to_this_machine(lake: Lake) -> None:
    lake.add(FIRST, 1)
    limited = replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store, cutoff=100))
    report = limited.compact(SESSION)
    assert "bytes_scanned_cutoff is 100" in report.notes[0]
    assert lake.manifest().engine == "local"


def test_rebuild_goes_on_past_a_session_that_others_publish(published: Lake) -> None:
    published.other_session()
    published.catalog.locations[SESSION] = "s3://elsewhere/"
    point = published.catalog.publish

    def refuse(session_date: date, location: str) -> None:
        if session_date != SESSION:
            point(session_date, location)

    published.catalog.publish = refuse  # type: ignore[method-assign]
    published.catalog.locations.pop(published.other_date)
    published.add([trade(7)], 7)
    with pytest.raises(RetryableError, match="being published by other runs"):
        rebuild(published)
    assert published.other_date in published.catalog.locations


def test_broken_pages_are_named_by_check_and_compaction(published: Lake) -> None:
    bad = data_key(published)
    break_pages(published, bad)
    findings = published_findings(published.partition)
    assert findings is not None
    assert bad in findings.damage
    published.add([trade(7)], 7)
    with pytest.raises(DamagedVersionError, match=f"{bad} can't be read.*delete that object"):
        published.compactor.compact(SESSION)
    published.store.delete([bad])  # as the error says
    published.compactor.compact(SESSION)
    assert in_order(published.read()) == winning_trades([*FIRST, *LATE, trade(7)])


def test_a_version_without_columns_and_data_is_lost_by_name(lake: Lake) -> None:
    """A release that does not know a column of the raw files wrote it."""
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    manifest = replace(lake.manifest(), newest_schema_version=2)
    lake.store.put(manifest_key(lake), manifest.to_json())
    lake.store.delete([*lake.keys(RAW_PREFIX), data_key(lake)])
    with pytest.raises(DamagedVersionError, match=r"1 raw files .* are gone"):
        lake.compactor.compact(SESSION)
    lake.compactor.compact(SESSION, allow_missing=True)
    assert lake.read() == []
