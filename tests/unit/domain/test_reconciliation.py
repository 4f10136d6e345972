"""Reconciliation names exactly the symbols on which two places differ."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import raw_key
from stock_pipeline.domain.moving_average import merge
from stock_pipeline.domain.reconciliation import CuratedCounts, RawCounts, SessionBooks, disagreements
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade, order_key
from stock_pipeline.lake.session_counts import count_curated, count_raw
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.fakes.stores import FakeObjectStore
from tests.support.lake import SESSION
from tests.support.oracle import windows as oracle_windows
from tests.support.oracle import winning_trades
from tests.support.strategies import trades
from tests.support.trades import DAY_NS, trade

CAPACITY = 5
ABC, XYZ = SymbolKey("ABC", "sim"), SymbolKey("XYZ", "sim")


def rows_of(key: SymbolKey, count: int) -> tuple[Trade, ...]:
    return tuple(trade(n, symbol=key.symbol, event_id=f"sim:{key.symbol}:20180102:X:{n}") for n in range(count))


def agreeing() -> SessionBooks:
    """Return books of two symbols, one with more trades than its window has room for."""
    counts = {ABC: 3, XYZ: 9}
    return SessionBooks(
        session_date=SESSION,
        raw={key: RawCounts(count + 2, count, count) for key, count in counts.items()},
        curated={key: CuratedCounts(count, rows_of(key, count)[-CAPACITY:]) for key, count in counts.items()},
        windows={key: rows_of(key, count)[-CAPACITY:] for key, count in counts.items()},
        capacity=CAPACITY,
    )


def named(books: SessionBooks) -> list[SymbolKey]:
    return [found.key for found in disagreements(books)]


def test_a_session_that_adds_up_has_no_disagreement() -> None:
    assert disagreements(agreeing()) == []


def with_(mapping: object, key: SymbolKey, value: object) -> dict[SymbolKey, object]:
    return {**mapping, key: value}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda b: replace(b, raw=with_(b.raw, XYZ, RawCounts(11, 10, 10))),
        lambda b: replace(b, raw=with_(b.raw, XYZ, RawCounts(11, 9, 8))),
        lambda b: replace(b, raw={ABC: b.raw[ABC]}),
        lambda b: replace(b, curated={ABC: b.curated[ABC]}),
        lambda b: replace(b, raw={ABC: b.raw[ABC]}, curated={ABC: b.curated[ABC]}),
        lambda b: replace(b, windows={ABC: b.windows[ABC]}),
        lambda b: replace(b, windows=with_(b.windows, XYZ, b.windows[XYZ][:-1])),
        lambda b: replace(b, windows=with_(b.windows, XYZ, (*b.windows[XYZ][:-1], trade(8, symbol="XYZ", price=1)))),
        lambda b: replace(b, windows=with_(b.windows, XYZ, (*b.windows[XYZ][1:], trade(20, symbol="XYZ")))),
    ],
    ids=[
        "a raw trade is not published",
        "a retried part has what its whole lacks",
        "raw files lack a symbol",
        "readers lack a symbol",
        "only the realtime table has a symbol",
        "the realtime table lacks a symbol",
        "the realtime table lacks the newest trade",
        "the realtime table has another price",
        "the realtime table is ahead",
    ],
)
def test_only_the_symbol_on_which_places_differ_is_named(tamper: object) -> None:
    assert set(named(tamper(agreeing()))) == {XYZ}  # type: ignore[operator]


def test_a_table_that_has_moved_on_answers_for_what_it_still_has() -> None:
    books = agreeing()
    tomorrow = tuple(replace(one, event_time_ns=one.event_time_ns + DAY_NS) for one in rows_of(XYZ, 3))
    window = (*rows_of(XYZ, 9)[-2:], *tomorrow)
    moved = replace(books, windows={**books.windows, XYZ: window})
    assert disagreements(moved) == []
    assert named(replace(moved, windows={**books.windows, XYZ: (rows_of(XYZ, 9)[3], *window[1:])})) == [XYZ]
    only_tomorrow = tuple(replace(one, event_time_ns=one.event_time_ns + DAY_NS) for one in rows_of(XYZ, CAPACITY))
    assert disagreements(replace(books, windows={**books.windows, XYZ: only_tomorrow})) == []


def test_a_table_that_may_have_forgotten_a_session_is_excused() -> None:
    assert disagreements(replace(agreeing(), windows={}, expired=True)) == []


def test_trades_that_came_after_their_time_to_live_are_in_the_lake_only() -> None:
    """They are the newest published ones, and the window is as it was; but what it has must be published."""
    books = agreeing()
    late = replace(books, windows={ABC: rows_of(ABC, 3)[:2], XYZ: rows_of(XYZ, 7)[-CAPACITY:]})
    assert named(late) == [ABC, XYZ]
    assert named(replace(late, expired=True)) == []
    unknown = replace(rows_of(XYZ, 8)[-1], event_id="sim:XYZ:of nobody")
    other = replace(rows_of(XYZ, 7)[-1], price=rows_of(XYZ, 7)[-1].price + 1)
    for wrong in (unknown, other):
        windows = {**late.windows, XYZ: (*rows_of(XYZ, 6)[-4:], wrong)}
        assert named(replace(late, windows=windows, expired=True)) == [XYZ]


def test_without_raw_files_the_other_places_are_still_compared() -> None:
    books = replace(agreeing(), raw=None)
    assert disagreements(books) == []
    assert named(replace(books, windows={ABC: books.windows[ABC]})) == [XYZ]


def raw_file(store: FakeObjectStore, rows: list[Trade], first: int, last: int) -> InputFile:
    key = raw_key(SESSION, "shardId-000000000000", str(first), str(last), f"{len(store.objects):016x}")
    store.put(key, parquet_bytes(table_of_trades(rows)))
    (listed,) = store.list(key)
    return InputFile.of(listed)


some_batches = st.lists(
    st.lists(trades(symbols=("ABC", "XYZ"), ids=20), min_size=1, max_size=9), min_size=1, max_size=5
)


def of_one_symbol_each(batches: list[list[Trade]]) -> list[list[Trade]]:
    """An id of two symbols, which no correct source sends, counts for one of them only."""
    return [[replace(one, event_id=f"{one.symbol}:{one.feed}:{one.event_id}") for one in rows] for rows in batches]


@settings(max_examples=200)
@given(some_batches, st.data())
def test_what_arrives_after_a_publication_is_no_disagreement(batches: list[list[Trade]], data: st.DataObject) -> None:
    """The table has all files, the version some of them: new trades, repeats, corrections and cancellations follow."""
    batches = of_one_symbol_each(batches)
    compacted = data.draw(st.integers(0, len(batches)))
    rows = [one for batch in batches[:compacted] for one in batch]
    later = [one for batch in batches[compacted:] for one in batch]
    in_raw_files = Counter(SymbolKey(one.symbol, one.feed) for one in winning_trades(rows))
    by_symbol: dict[SymbolKey, list[Trade]] = {}
    for one in sorted(winning_trades(rows), key=order_key):
        by_symbol.setdefault(SymbolKey(one.symbol, one.feed), []).append(one)
    books = SessionBooks(
        session_date=SESSION,
        raw={key: RawCounts(count, count, count) for key, count in in_raw_files.items()},
        curated={key: CuratedCounts(len(held), tuple(held[-CAPACITY:])) for key, held in by_symbol.items()},
        windows=oracle_windows([*rows, *later], CAPACITY),
        capacity=CAPACITY,
        under_way=frozenset(one.event_id for one in later),
    )
    assert disagreements(books) == []


def test_what_is_missing_is_named_while_a_session_is_under_way() -> None:
    books, newest = agreeing(), rows_of(XYZ, 10)
    under_way = replace(
        books, windows={**books.windows, XYZ: newest[-CAPACITY:]}, under_way=frozenset({newest[-1].event_id})
    )
    assert disagreements(under_way) == []
    without_a_published_one = (*newest[-CAPACITY - 1 : -3], *newest[-2:])
    assert named(replace(under_way, windows={**books.windows, XYZ: without_a_published_one})) == [XYZ]
    assert named(replace(under_way, under_way=frozenset())) == [XYZ]


@settings(max_examples=25)
@given(some_batches)
def test_counts_of_files_agree_with_what_follows_from_them(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Trade]]
) -> None:
    folder, store = tmp_path_factory.mktemp("counts"), FakeObjectStore()
    batches = of_one_symbol_each(batches)
    files = [raw_file(store, rows, n * 10, n * 10 + 9) for n, rows in enumerate(batches)]
    everything = [one for rows in batches for one in rows]
    counted = count_raw(store, files, folder)
    assert counted.unreadable == ()
    path = folder / "curated.parquet"
    pq.write_table(table_of_trades(winning_trades(everything)), path)
    curated = count_curated([path], CAPACITY)
    windows: dict[SymbolKey, tuple[Trade, ...]] = {}
    for one in everything:
        key = SymbolKey(one.symbol, one.feed)
        windows[key] = merge(windows.get(key, ()), [one], CAPACITY)
    books = SessionBooks(SESSION, counted.counts, curated, windows, CAPACITY)
    assert disagreements(books) == []
    assert sum(counts.delivered for counts in counted.counts.values()) == len(everything)


def test_parts_of_a_batch_tried_again_count_once_for_the_stream(tmp_path: Path) -> None:
    store = FakeObjectStore()
    whole = raw_file(store, [trade(n) for n in range(6)], 10, 19)
    part = raw_file(store, [trade(n) for n in range(3, 6)], 15, 19)
    counted = count_raw(store, [part, whole], tmp_path)
    assert counted.counts == {ABC: RawCounts(delivered=9, trades=6, trades_of_stream=6)}


def test_a_part_with_a_trade_its_batch_lacks_is_noticed(tmp_path: Path) -> None:
    store = FakeObjectStore()
    whole = raw_file(store, [trade(n) for n in range(5)], 10, 19)
    part = raw_file(store, [trade(5)], 15, 19)
    counted = count_raw(store, [part, whole], tmp_path)
    assert counted.counts == {ABC: RawCounts(delivered=6, trades=6, trades_of_stream=5)}


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    store = FakeObjectStore()
    good = raw_file(store, [trade(1)], 1, 1)
    bad = raw_file(store, [trade(2)], 2, 2)
    store.put(bad.key, store.get(bad.key)[:100])
    (listed,) = store.list(bad.key)
    counted = count_raw(store, [good, InputFile(bad.key, listed.etag, listed.size)], tmp_path)
    assert counted.unreadable == (bad.key,)
    assert counted.counts[ABC].trades == 1
