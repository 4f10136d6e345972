"""A raw file that is lost for good, and what comes of it when it is found again."""

import pytest

from stock_pipeline.errors import DamagedVersionError, HeadLostError
from tests.support.damage import collect, data_key, rebuild
from tests.support.lake import SESSION, Lake
from tests.support.oracle import winning_trades
from tests.support.trades import trade


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
