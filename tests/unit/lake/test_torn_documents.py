"""A manifest or head that can't be read is named, hides no other session, and says what helps."""

from datetime import timedelta

import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX, head_key
from stock_pipeline.errors import DamagedVersionError, HeadLostError
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.published_rows import published_findings
from tests.support.damage import FIRST, LATE, TORN, TORN_HEADS, collect, cut, data_key, manifest_key, rebuild, spoil
from tests.support.lake import SESSION, Lake
from tests.support.oracle import in_order, winning_trades
from tests.support.trades import trade


@pytest.mark.parametrize("damage", TORN)
def test_a_torn_manifest_is_a_named_state(published: Lake, compactor: Compactor, damage: str) -> None:
    TORN[damage](published)
    with pytest.raises(DamagedVersionError, match="what it had is not known"):
        compactor.compact(SESSION)
    report = compactor.compact(SESSION, allow_missing=True)
    assert report.unreadable == ()
    assert in_order(published.read()) == winning_trades(FIRST + LATE)


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


@pytest.mark.parametrize("what", ["head", "manifest"])
def test_a_document_of_many_brackets_is_torn(published: Lake, what: str) -> None:
    published.store.put(head_key(SESSION) if what == "head" else manifest_key(published), b"[" * 100_000)
    with pytest.raises((DamagedVersionError, HeadLostError), match="can't be read"):
        published.compactor.compact(SESSION)
