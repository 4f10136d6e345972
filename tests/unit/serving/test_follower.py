"""The follower: what it shows follows the lake, whatever compaction does meanwhile, and a restart shows the same."""

import errno
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from stock_pipeline.domain.bar import daily_bar
from stock_pipeline.domain.feed_session import feed_session_hours
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import RetryableError
from stock_pipeline.serving.follower import FILES_AT_ONCE, Follower
from stock_pipeline.serving.units import price_of, shares_of_units
from tests.support.damage import data_key, spoil
from tests.support.market import Market
from tests.support.oracle import winning_trades
from tests.support.trades import SESSION, trade

KEY = SymbolKey("ABC", "sim")


def day(follower: Follower) -> tuple[object, ...] | None:
    assert follower.session is not None
    bar = follower.session.day_bar(KEY)
    return bar and (price_of(bar.open), price_of(bar.high), price_of(bar.close), shares_of_units(bar.volume))


def expected(rows: list[Trade]) -> tuple[object, ...] | None:
    bar = daily_bar(winning_trades(rows), feed_session_hours(SESSION, "sim"))
    return bar and (bar.open, bar.high, bar.close, bar.volume)


def test_each_new_file_is_folded_once(market: Market) -> None:
    rows = [trade(number) for number in range(9)]
    follower = market.service.follower
    for number in range(3):
        market.lake.add(rows[3 * number : 3 * number + 3], number)
        found = follower.look()
        assert found.changed == {KEY}
        assert day(follower) == expected(rows[: 3 * number + 3])
        assert follower.look().changed == set()
    assert follower.files == 3


def test_a_restart_shows_the_same_after_publication_collection_and_more(market: Market) -> None:
    rows = [trade(number) for number in range(9)]
    follower = market.service.follower
    market.lake.add(rows[:3], 0)
    market.lake.add(rows[3:6], 1)
    follower.look()
    market.lake.compactor.compact(SESSION)
    market.lake.pass_time(timedelta(days=4))
    list(market.lake.garbage_collector().collect())
    assert market.lake.keys("raw/") == []
    market.lake.add([*rows[6:], replace(rows[0], version=1, status="cancelled")], 2)
    rows.append(replace(rows[0], version=1, status="cancelled"))
    # the correction's minute is made anew from a copy, for the lake has the file no more
    follower.look()
    assert day(follower) == expected(rows)
    fresh = market.follower()
    fresh.look()
    assert day(fresh) == expected(rows)
    fresh.close()


def test_a_file_that_is_no_trades_is_named_and_the_others_count(market: Market) -> None:
    follower = market.service.follower
    bad = market.lake.add_bytes(b"no Parquet", 0)
    market.lake.add([trade(1)], 1)
    follower.look()
    assert day(follower) == expected([trade(1)])
    assert list(follower.unreadable) == [bad]


def test_a_lake_that_is_away_for_a_look_takes_nothing_from_what_is_shown(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = market.service.follower
    rows = [trade(number) for number in range(FILES_AT_ONCE + 3)]
    market.lake.add(rows[:1], 0)
    follower.look()
    for number, row in enumerate(rows[1:], 1):
        market.lake.pass_time(timedelta(seconds=1))
        last = market.lake.add([replace(row, symbol="XYZ") if number == 1 else row], number)
    get = market.lake.store.get_if_there

    def away(key: str) -> bytes | None:
        if key == last:
            raise RetryableError("the bucket throttles")
        return get(key)

    with monkeypatch.context() as patch:
        patch.setattr(market.lake.store, "get_if_there", away)
        with pytest.raises(RetryableError):
            follower.look()
    assert follower.session is not None
    shown = follower.session.day_bar(KEY)
    assert shown is not None
    assert shown.trade_count >= 1
    found = follower.look()
    # also what the look found that failed later
    assert found == ({KEY, SymbolKey("XYZ", "sim")}, False)
    assert day(follower) == expected([rows[0], *rows[2:]])


def test_a_file_that_is_published_between_listing_and_reading_counts_once(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = market.service.follower
    rows = [trade(number) for number in range(4)]
    market.lake.add(rows[:2], 0)
    follower.look()
    market.lake.add(rows[2:], 1)
    get = market.lake.store.get_if_there

    with monkeypatch.context() as patch:

        def after_collection(key: str) -> bytes | None:
            patch.undo()
            market.lake.compactor.compact(SESSION)
            market.lake.pass_time(timedelta(days=4))
            list(market.lake.garbage_collector().collect())
            return get(key)

        patch.setattr(market.lake.store, "get_if_there", after_collection)
        with pytest.raises(RetryableError, match="removed meanwhile"):
            follower.look()
    market.lake.add([trade(4)], 2)
    assert follower.look().is_new
    assert day(follower) == expected([*rows, trade(4)])


def test_a_published_file_that_is_damaged_is_named_and_the_next_version_is_read(market: Market) -> None:
    market.lake.add([trade(1), trade(2)], 1)
    market.lake.compactor.compact(SESSION)
    spoil(market.lake, data_key(market.lake))
    market.lake.add([trade(3)], 2)
    follower = market.service.follower
    with pytest.raises(RetryableError, match=r"\.parquet can't be read"):
        follower.look()
    market.lake.compactor.compact(SESSION)
    follower.look()
    assert day(follower) == expected([trade(1), trade(2), trade(3)])


def test_a_look_that_failed_reads_nothing_any_more(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late copy would lie where the next look put another file."""
    for number in range(2):
        market.lake.pass_time(timedelta(seconds=1))
        market.lake.add([trade(number)], number)
    get = market.lake.store.get_if_there
    begun, refused, over = threading.Event(), threading.Event(), threading.Event()
    first, _ = market.lake.keys("raw/")
    late: list[bool] = []

    def slow(key: str) -> bytes | None:
        if key == first:
            begun.wait()
            refused.set()
            raise RetryableError("the bucket throttles")
        begun.set()
        refused.wait()
        # the right follower waits for this file, so this wait ends by its limit
        late.append(over.wait(timeout=0.3))
        return get(key)

    monkeypatch.setattr(market.lake.store, "get_if_there", slow)
    with pytest.raises(RetryableError, match="throttles"):
        market.service.follower.look()
    over.set()
    market.service.follower.close()
    assert late == [False]


def test_a_full_disk_fails_the_look_and_not_the_follower(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = market.service.follower
    market.lake.add([trade(1)], 1)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(RetryableError, match="can't take copies"):
            follower.look()
    follower.look()
    assert day(follower) == expected([trade(1)])


def test_a_new_session_takes_over(market: Market) -> None:
    follower = market.service.follower
    market.lake.add([trade(1)], 1)
    follower.look()
    market.lake.pass_time(timedelta(days=1))
    market.lake.other_session()
    found = follower.look()
    assert found.is_new
    assert follower.session is not None
    assert follower.session.session_date == market.lake.other_date


def test_an_empty_lake_shows_nothing(market: Market) -> None:
    found = market.service.follower.look()
    assert (found.changed, found.is_new, market.service.follower.session) == (set(), False, None)
