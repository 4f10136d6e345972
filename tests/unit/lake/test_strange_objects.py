"""Objects of nobody are named, and neither deleted nor in the way."""

from collections.abc import Callable

import pytest

from stock_pipeline.domain.lake_layout import CURATED_PREFIX, RAW_PREFIX
from stock_pipeline.errors import InputFileError, ProofError
from tests.support.damage import FIRST, LATE, break_pages, collect, data_key, rebuild, spoil
from tests.support.lake import SESSION, Lake
from tests.support.oracle import in_order, winning_trades
from tests.support.trades import trade

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
