"""A published version that lost objects is named: it is made again, or said to be lost, and never built on."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from stock_pipeline.domain.lake_layout import CURATED_PREFIX, RAW_PREFIX, head_key
from stock_pipeline.errors import DamagedVersionError, HeadLostError, InputFileError, ProofError, RetryableError
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.published_rows import published_findings
from stock_pipeline.lake.sql_engine import SCANS
from tests.fakes.sql_engine import FakeSqlQueries
from tests.support.lake import SESSION, Lake
from tests.support.oracle import in_order, winning_trades
from tests.support.trades import trade

FIRST = [trade(1), trade(2), trade(3)]
LATE = [trade(2), trade(0)]


def data_key(lake: Lake) -> str:
    return lake.manifest().data_keys[-1]


def manifest_key(lake: Lake) -> str:
    return lake.manifest().place.manifest_key


def cut(lake: Lake, key: str) -> None:
    lake.store.put(key, lake.store.objects[key][:-7])


def spoil(lake: Lake, key: str) -> None:
    lake.store.put(key, b"?" * len(lake.store.objects[key]))


def write_in(lake: Lake, key: str, **values: Any) -> None:
    """Change fields of a JSON object, as whoever edits one by hand."""
    lake.store.put(key, json.dumps(json.loads(lake.store.objects[key]) | values).encode())


DAMAGES: dict[str, Callable[[Lake], None]] = {
    "data is missing": lambda lake: lake.store.delete([data_key(lake)]),
    "data is cut": lambda lake: cut(lake, data_key(lake)),
    "data is something else of its size": lambda lake: spoil(lake, data_key(lake)),
}
TORN: dict[str, Callable[[Lake], None]] = {
    "manifest is missing": lambda lake: lake.store.delete([manifest_key(lake)]),
    "manifest is cut": lambda lake: cut(lake, manifest_key(lake)),
    "manifest is another document": lambda lake: lake.store.put(manifest_key(lake), b"[1]"),
    "manifest has no inputs": lambda lake: write_in(lake, manifest_key(lake), inputs=None),
    "manifest has texts for inputs": lambda lake: write_in(lake, manifest_key(lake), inputs=["raw/trades/a.parquet"]),
    "manifest has a text for a size": lambda lake: write_in(lake, manifest_key(lake), data_bytes="many"),
    "manifest has a number for its files": lambda lake: write_in(lake, manifest_key(lake), data_files=5),
    "manifest has no digest": lambda lake: write_in(lake, manifest_key(lake), digest={"rows": 3}),
    "manifest is another session's": lambda lake: write_in(lake, manifest_key(lake), session_date="2018-01-03"),
    "manifest is another version's": lambda lake: write_in(lake, manifest_key(lake), version="00000000000000aa"),
}
TORN_HEADS: dict[str, Callable[[Lake], None]] = {
    "head is cut": lambda lake: cut(lake, head_key(SESSION)),
    "head is empty": lambda lake: lake.store.put(head_key(SESSION), b""),
    "head is another document": lambda lake: lake.store.put(head_key(SESSION), b"[]"),
    "head has a number for a version": lambda lake: write_in(lake, head_key(SESSION), version=7),
    "head has a text for a generation": lambda lake: write_in(lake, head_key(SESSION), generation="1"),
    "head has texts for versions": lambda lake: write_in(lake, head_key(SESSION), superseded=["00000000000000aa"]),
    "head has a time of no zone": lambda lake: write_in(lake, head_key(SESSION), settled_at="2018-01-02T12:00:00"),
}


@pytest.fixture(params=["local", "athena"])
def compactor(request: pytest.FixtureRequest, lake: Lake) -> Compactor:
    if request.param == "local":
        return lake.compactor
    return replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store))


@pytest.fixture
def published(lake: Lake, compactor: Compactor) -> Lake:
    """Compacted, while its raw files are there."""
    lake.add(FIRST, 1)
    lake.add(LATE, 2)
    compactor.compact(SESSION)
    return lake


def collect(lake: Lake) -> None:
    lake.pass_time(timedelta(days=4))
    list(lake.garbage_collector().collect())


def rebuild(lake: Lake) -> None:
    CatalogRebuild(lake.store, lake.catalog, lambda: lake.now, lake.unpublished).run()


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


@pytest.mark.parametrize("damage", TORN)
def test_a_torn_manifest_is_a_named_state(published: Lake, compactor: Compactor, damage: str) -> None:
    TORN[damage](published)
    with pytest.raises(DamagedVersionError, match="what it had is not known"):
        compactor.compact(SESSION)
    report = compactor.compact(SESSION, allow_missing=True)
    assert report.unreadable == ()
    assert in_order(published.read()) == winning_trades(FIRST + LATE)


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


@pytest.mark.parametrize("damage", TORN_HEADS)
def test_rebuild_goes_on_past_a_torn_session(published: Lake, damage: str) -> None:
    published.other_session()
    TORN_HEADS[damage](published)
    published.catalog.locations.clear()
    with pytest.raises(HeadLostError, match=r"_head\.json can't be read"):
        rebuild(published)
    assert list(published.catalog.locations) == [published.other_date]
    published.store.delete([head_key(SESSION)])
    rebuild(published)
    assert in_order(published.read()) == winning_trades(FIRST + LATE)


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


def test_an_older_version_stays_while_the_published_one_is_torn(published: Lake) -> None:
    """The raw files went by the bucket's lifecycle, so the older version has the only copy of their trades."""
    published.add([trade(7)], 7)
    published.compactor.compact(SESSION)
    published.store.delete(published.keys(RAW_PREFIX))
    spoil(published, data_key(published))
    before = dict(published.store.objects)
    published.pass_time(timedelta(days=4))
    with pytest.raises(DamagedVersionError, match="compact --session"):
        list(published.garbage_collector(expire_raw=True).collect())
    assert published.store.objects == before


def test_a_lost_head_beside_a_torn_older_manifest_says_what_helps(published: Lake) -> None:
    torn = manifest_key(published)
    cut(published, torn)
    published.compactor.compact(SESSION, allow_missing=True)
    published.lose_heads()
    with pytest.raises(HeadLostError, match="whose manifest can't be read, but no head"):
        published.compactor.compact(SESSION)
    with pytest.raises(HeadLostError, match=r"_manifest\.json can't be read: restore .* if no raw file .* collected"):
        rebuild(published)
    published.store.delete([torn])
    rebuild(published)
    assert in_order(published.read()) == winning_trades(FIRST + LATE)


@pytest.mark.parametrize("damage", TORN_HEADS)
def test_other_sessions_are_collected_before_a_torn_head_is_told(published: Lake, damage: str) -> None:
    other = published.other_session()
    TORN_HEADS[damage](published)
    with pytest.raises(HeadLostError, match=r"_head\.json can't be read"):
        collect(published)
    assert published.keys(RAW_PREFIX + other) == []


@pytest.mark.parametrize("damage", TORN_HEADS)
def test_compaction_and_check_name_a_torn_head(published: Lake, compactor: Compactor, damage: str) -> None:
    TORN_HEADS[damage](published)
    before = dict(published.store.objects)
    for use in (lambda: compactor.compact(SESSION), lambda: published_findings(published.partition)):
        with pytest.raises(HeadLostError, match=r"2018-01-02: .*_head\.json can't be read"):
            use()
    assert published.store.objects == before


STRAY = ["README.txt", "year=2018/month=1/x", "year=2018/month=2/day=30/x", "backup/year=2018/month=1/day=2/x"]


@pytest.mark.parametrize("name", STRAY)
def test_an_object_of_no_session_is_named_and_stops_nothing(published: Lake, name: str) -> None:
    published.store.put(CURATED_PREFIX + name, b"x")
    published.store.put(CURATED_PREFIX, b"")  # as a console marks a folder
    published.catalog.locations.clear()
    with pytest.raises(InputFileError, match=f"{name.split('/day')[0].removesuffix('/x')}.* is no object of a session"):
        rebuild(published)
    assert in_order(published.read()) == winning_trades(FIRST + LATE)
    with pytest.raises(InputFileError, match="is no object of a session"):
        collect(published)
    assert published.keys(RAW_PREFIX) == []
    assert published.store.objects[CURATED_PREFIX + name] == b"x"


def test_a_copy_of_a_version_is_not_taken_for_garbage(published: Lake) -> None:
    copies = [
        key.replace(CURATED_PREFIX, CURATED_PREFIX + "backup/") for key in published.keys(published.published_prefix())
    ]
    copies += [key.replace("/v=", "/backup/v=") for key in published.keys(published.published_prefix())]
    published.add([trade(7)], 7)
    published.compactor.compact(SESSION)
    for key in copies:
        published.store.put(key, b"copy")
    with pytest.raises(InputFileError, match="is no object of a session"):
        collect(published)
    assert {key: published.store.objects.get(key) for key in copies} == dict.fromkeys(copies, b"copy")


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


def break_pages(lake: Lake, key: str) -> None:
    """Spoil the first column of the first row group, under a whole footer."""
    body = lake.store.objects[key]
    column = pq.read_metadata(io.BytesIO(body)).row_group(0).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    end = start + column.total_compressed_size
    lake.store.put(key, body[:start] + b"\xff" * (end - start) + body[end:])


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


@pytest.mark.parametrize("spoil_it", [spoil, break_pages])
def test_an_object_in_the_way_of_a_version_is_named(lake: Lake, spoil_it: Callable[[Lake, str], None]) -> None:
    """The head was deleted, as its error says; so the version is made again under the name of the damaged one."""
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    bad = data_key(lake)
    spoil_it(lake, bad)
    lake.lose_heads()
    lake.catalog.locations.clear()
    with pytest.raises(ProofError, match=f"{bad} was there before; delete it"):
        lake.compactor.compact(SESSION)
    lake.store.delete([bad])
    lake.compactor.compact(SESSION)
    assert lake.read() == winning_trades(FIRST)


def lose_the_first_file(lake: Lake) -> tuple[str, bytes]:
    """Publish what is left of a session whose version and first raw file are gone; return the raw file."""
    key = lake.add([trade(1)], 1)
    body = lake.store.objects[key]
    lake.add([trade(2)], 2)
    lake.compactor.compact(SESSION)
    lake.store.delete([key, data_key(lake)])
    lake.compactor.compact(SESSION, allow_missing=True)
    return key, body


def test_a_lost_file_that_comes_back_is_compacted(lake: Lake) -> None:
    key, body = lose_the_first_file(lake)
    lake.add([trade(3)], 3)
    report = lake.compactor.compact(SESSION)
    assert report.unreadable == ()
    lake.store.put(key, body)
    lake.compactor.compact(SESSION)
    assert lake.read() == winning_trades([trade(1), trade(2), trade(3)])
    assert lake.manifest().lost == ()
    collect(lake)
    assert lake.keys("quarantine/") == []


def test_what_was_given_up_is_not_lost_again(lake: Lake) -> None:
    key, _ = lose_the_first_file(lake)
    lake.store.delete([data_key(lake)])
    report = lake.compactor.compact(SESSION)
    assert report.unreadable == (key,)
    assert lake.read() == [trade(2)]
    lake.lose_heads()
    lake.catalog.locations.clear()
    rebuild(lake)
    assert lake.read() == [trade(2)]


def test_what_came_back_is_lost_when_it_goes_again(lake: Lake) -> None:
    key, body = lose_the_first_file(lake)
    lake.store.put(key, body)
    lake.compactor.compact(SESSION)
    lake.store.delete([key, data_key(lake)])
    with pytest.raises(DamagedVersionError, match=r"1 raw files .* are gone"):
        lake.compactor.compact(SESSION)
    lake.lose_heads()
    lake.catalog.locations.clear()
    with pytest.raises(HeadLostError, match="no version has all raw files"):
        rebuild(lake)


@pytest.mark.parametrize("what", ["head", "manifest"])
def test_a_document_of_many_brackets_is_torn(published: Lake, what: str) -> None:
    published.store.put(head_key(SESSION) if what == "head" else manifest_key(published), b"[" * 100_000)
    with pytest.raises((DamagedVersionError, HeadLostError), match="can't be read"):
        published.compactor.compact(SESSION)


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


@pytest.mark.parametrize("collected", [False, True])
def test_an_object_beside_the_data_is_damage(lake: Lake, collected: bool) -> None:
    """Athena reads every object below the version's prefix, so that readers there see its rows twice."""
    lake.add(FIRST, 1)
    lake.compactor.compact(SESSION)
    if collected:
        collect(lake)
    prefix = lake.published_prefix()
    copy = f"{prefix}copy of trades.parquet"
    lake.store.put(copy, lake.store.objects[data_key(lake)])
    lake.store.put(prefix, b"")  # as a console marks a folder
    assert copy in lake.compactor.compact(SESSION).repaired
    assert lake.read() == winning_trades(FIRST)
    assert not lake.compactor.compact(SESSION).published
