"""Rows of an item that no release wrote: the item is damaged, and no figure is made of them."""

import json
import zlib
from typing import Any

import pytest

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import DamagedItemError
from stock_pipeline.state.rows import Kinds
from stock_pipeline.state.stored_item import StoredItem


def item_of_row(price: str, volume: Any) -> StoredItem:
    row = [1_700_000_000_000_000_000, 1, "id", 0, "new", price, volume, "V", "@", "A", "stream"]
    return StoredItem(SymbolKey("AAPL", "iex"), "revision", zlib.compress(json.dumps([row]).encode()), b"")


@pytest.mark.parametrize("price", ["-1.5", "1.-5", "1.+5", "1_0", " 15", "", ".", "NaN", "9" * 30])
def test_rows_with_a_price_that_is_no_number_of_dollars_are_damaged(price: str) -> None:
    with pytest.raises(DamagedItemError):
        item_of_row(price, 100).rows(Kinds())


@pytest.mark.parametrize("volume", [-1, -5, "-0.5", "NaN", "Infinity", "1e999", 10**30])
def test_rows_with_a_volume_that_is_no_number_of_shares_are_damaged(volume: Any) -> None:
    with pytest.raises(DamagedItemError):
        item_of_row("1.5", volume).rows(Kinds())


def test_rows_with_digits_alone_are_read() -> None:
    window, older = item_of_row("1.5", 100).rows(Kinds())
    assert (window.count, older.count) == (1, 0)
