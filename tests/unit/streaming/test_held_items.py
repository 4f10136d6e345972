"""A warm process reads no item twice, and goes by none that is stale."""

from collections.abc import Mapping, Sequence

import pytest

from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.errors import DamagedItemError
from stock_pipeline.state.rows import NewState
from stock_pipeline.state.stored_item import StoredItem
from stock_pipeline.streaming import held_items
from stock_pipeline.streaming.held_items import HeldItems
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.stores import FakeObjectStore, FakeQueue, FakeStateTable
from tests.support.kinesis_events import kinesis_event
from tests.support.trades import trade

WINDOWS = (3,)
KEY = SymbolKey("ABC", "sim")


class WatchedTable(FakeStateTable):
    """Counts the keys that are read, and answers damaged items where told to."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_read = 0
        self.is_damaged = False
        self.fails_after_writing = False

    def read_once(self, keys: Sequence[SymbolKey]) -> tuple[Mapping[SymbolKey, StoredItem], Sequence[SymbolKey]]:
        self.keys_read += len(keys)
        items, unread = super().read_once(keys)
        if self.is_damaged:
            items = {key: item._replace(window=b"torn") for key, item in items.items()}
        return items, unread

    def put(self, state: NewState, replaces: str | None) -> StoredItem:
        item = super().put(state, replaces)
        if self.fails_after_writing:
            raise ZeroDivisionError("after it was written")
        return item


def processor(table: FakeStateTable) -> Processor:
    return Processor(FakeQueue(), FakeObjectStore(), table, WINDOWS, lambda _: None)


def process(program: Processor, *numbers: int, symbol: str = "ABC") -> None:
    lines = [encode_trade(trade(number, symbol=symbol)) for number in numbers]
    assert program.handle(kinesis_event(lines, first=1 + 1_000 * numbers[0])) == {"batchItemFailures": []}


def ids(table: FakeStateTable) -> list[str]:
    return [row.event_id for row in table.held[KEY].state.window]


def test_an_item_is_read_by_the_first_batch_only() -> None:
    table = WatchedTable()
    warm = processor(table)
    for number in range(5):
        process(warm, number)
    assert table.keys_read == 1
    assert ids(table) == [trade(number).event_id for number in range(5)]
    process(processor(table), 5)
    assert table.keys_read == 2


def test_what_another_process_wrote_is_merged_and_not_overwritten() -> None:
    table = WatchedTable()
    warm, other = processor(table), processor(table)
    process(warm, 1)
    process(other, 2)
    process(warm, 3)
    process(other, 4)
    assert ids(table) == [trade(number).event_id for number in (1, 2, 3, 4)]


def test_an_item_that_is_gone_is_made_anew() -> None:
    table = WatchedTable()
    warm = processor(table)
    process(warm, 1)
    table.held.clear()
    process(warm, 2)
    assert ids(table) == [trade(2).event_id]


def test_an_item_whose_write_failed_is_read_again() -> None:
    table = WatchedTable()
    warm = processor(table)
    process(warm, 1)
    table.fails_after_writing = True
    with pytest.raises(ZeroDivisionError):
        process(warm, 2)
    table.fails_after_writing = False
    table.held[KEY] = table.held[KEY].__class__(SymbolState(KEY, (trade(9, ingest_time_ns=0),)), "another")
    process(warm, 2)
    assert ids(table) == [trade(2).event_id, trade(9).event_id]


def test_a_damaged_item_is_read_again_once_it_was_mended() -> None:
    table = WatchedTable()
    process(processor(table), 1)
    warm = processor(table)
    table.is_damaged = True
    with pytest.raises(DamagedItemError):
        process(warm, 2)
    table.is_damaged = False
    process(warm, 2)
    assert ids(table) == [trade(1).event_id, trade(2).event_id]


def test_the_items_held_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_items, "MOST_ITEMS", 10)
    held = HeldItems()
    for number in range(25):
        held.keep(StoredItem(SymbolKey(f"S{number}", "sim"), "", b"", b""))
    kept = [number for number in range(25) if held.get(SymbolKey(f"S{number}", "sim"))]
    assert kept == [20, 21, 22, 23, 24]


def test_a_process_that_has_company_holds_nothing() -> None:
    """Functions that take turns with a shard's batches would lose nearly every first write."""
    table = WatchedTable()
    turns = [processor(table), processor(table)]
    conflicts = [
        turns[number % 2].process(kinesis_event([encode_trade(trade(number))], first=1 + number)).states.conflicts
        for number in range(4 * held_items.ENOUGH_USES)
    ]
    assert sum(conflicts[: 2 * held_items.ENOUGH_USES]) > held_items.ENOUGH_USES
    assert sum(conflicts[2 * held_items.ENOUGH_USES + 4 :]) == 0
    assert ids(table) == [trade(len(conflicts) - 13 + number).event_id for number in range(13)]
