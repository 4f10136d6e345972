"""Items of the realtime table that this process knows, so that a warm function need not read them again.

One instance of the function has a shard's symbols to itself, unless `parallelization_factor` gives it company. No
write goes by a stale item: what another process wrote meanwhile costs a write whose condition fails, and then a read.
Such a write costs more than a read, so a process that has company holds nothing.
"""

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.state.stored_item import StoredItem

MOST_ITEMS = 20_000
"""Some 25 MB."""


ENOUGH_USES = 50
STALE_OF_USES = 0.1
"""A share of stale items, after so many uses, by which a process knows that others write its symbols. A failed write is
five times the price of a read."""


class HeldItems:
    """Items as they were last read or written. Threads may share it."""

    def __init__(self) -> None:
        self._items: dict[SymbolKey, StoredItem] = {}
        self._uses = self._stale = 0
        self._has_company = False

    def get(self, key: SymbolKey) -> StoredItem | None:
        item = self._items.get(key)
        self._uses += item is not None
        return item

    def keep(self, item: StoredItem) -> None:
        if self._has_company:
            return
        if len(self._items) >= MOST_ITEMS and item.key not in self._items:
            self._items.clear()
        self._items[item.key] = item

    def forget(self, key: SymbolKey) -> None:
        self._items.pop(key, None)

    def found_stale(self) -> None:
        """Note that another process had written an item that was held."""
        self._stale += 1
        if self._uses >= ENOUGH_USES and self._stale > STALE_OF_USES * self._uses:
            self._has_company = True
            self._items.clear()
