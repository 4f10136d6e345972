"""Which errors are one symbol's, and which the table's: a record is at fault only where others are written."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pytest

from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.streaming.batch_report import StateResult
from stock_pipeline.streaming.newest_trades import newest_rows
from stock_pipeline.streaming.patience import Patience
from stock_pipeline.streaming.state_writer import FAILURES_OF_ALL, StateWriter
from stock_pipeline.trade_table import table_of_trades
from tests.fakes.stores import FakeStateTable
from tests.support.trades import trade


class InvalidKeyError(Exception):
    """What a service says of a request that it will never take."""


class PickyTable(FakeStateTable):
    """Takes no call that names one of these symbols (None: any)."""

    def __init__(self, unreadable: Collection[str] | None = (), unwritable: Collection[str] | None = ()) -> None:
        super().__init__()
        self.unreadable, self.unwritable = unreadable, unwritable
        self.tried: list[str] = []

    def read(self, keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, StoredState]:
        if self.unreadable is None or any(key.symbol in self.unreadable for key in keys):
            raise InvalidKeyError("read")
        return super().read(keys)

    def interfere(self, state: SymbolState) -> None:
        self.tried.append(state.key.symbol)
        if self.unwritable is None or state.key.symbol in self.unwritable:
            raise InvalidKeyError("write")

    @property
    def symbols(self) -> set[str]:
        return {key.symbol for key in self.held}


def write(table: PickyTable, symbols: Sequence[str], threads: int = 1) -> StateResult:
    rows = table_of_trades([trade(number, symbol=symbol) for number, symbol in enumerate(symbols)])
    newest = newest_rows(rows, np.arange(len(symbols), dtype=np.int64), window_capacity((2,)))
    patience = Patience(lambda _attempt: None, lambda: True)
    return StateWriter(table, (2,), patience, lambda _error: False, threads).write(newest)


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("bad", [["B"], ["A", "D"]])
def test_a_symbol_that_is_never_taken_is_raised_after_all_others(bad: list[str], threads: int) -> None:
    for table in (PickyTable(unreadable=bad), PickyTable(unwritable=bad)):
        with pytest.raises(InvalidKeyError):
            write(table, "ABCDE", threads)
        assert table.symbols == set("ABCDE") - set(bad)


@pytest.mark.parametrize("threads", [1, 8])
def test_what_every_symbol_raises_is_answered_like_a_table_that_is_away(threads: int) -> None:
    for table in (PickyTable(unreadable=None), PickyTable(unwritable=None)):
        result = write(table, "ABCDE", threads)
        assert (result.writes, result.failed_record) == (0, 0)
        assert "the state table refuses" in result.why


def test_a_table_that_takes_nothing_is_not_asked_for_every_symbol() -> None:
    table = PickyTable(unwritable=None)
    result = write(table, [f"S{number:03}" for number in range(300)])
    assert result.failed_record == 0
    assert len(table.tried) == FAILURES_OF_ALL


def test_the_one_symbol_of_a_batch_is_raised() -> None:
    with pytest.raises(InvalidKeyError):
        write(PickyTable(unwritable=None), "A")


def test_many_bad_symbols_after_a_good_one_are_theirs() -> None:
    bad = [f"B{number:03}" for number in range(2 * FAILURES_OF_ALL)]
    for table in (PickyTable(unwritable=bad), PickyTable(unreadable=bad)):
        with pytest.raises(InvalidKeyError):
            write(table, ["A", *bad, "Z"])
        assert table.symbols == {"A", "Z"}
