"""A table of 64-bit ids in bounded memory, which says of a batch which ids are new.

Two generations: once the younger is full, the older is forgotten. Each entry carries a fingerprint of its row, so that
a repeat is told from another version. Forgetting is told to the caller, because nothing may be counted twice.
"""

import numpy as np
import numpy.typing as npt

NEW, SAME, OTHER = 0, 1, 2
"""What an id is: never seen, seen with this fingerprint, seen with another."""

_U64 = npt.NDArray[np.uint64]
_MINUTE = np.uint64(16_383)
"""The bits of a fingerprint in which its row's minute is kept."""

_ABSENT = np.uint64(2**64 - 1)
"""No fingerprint is this one: no session has 16383 minutes."""


class IdTable:
    """capacity: ids of one generation, of 16 bytes and as many of slack; one batch may go beyond it."""

    def __init__(self, capacity: int = 4_000_000) -> None:
        self._capacity = capacity
        self.forgotten: frozenset[int] = frozenset()
        """Minutes of which ids were forgotten: of these, `NEW` says nothing."""
        self._young, self._old = _Generation(), _Generation()

    def look_up(
        self, ids: _U64, prints: _U64, minutes: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
        """Return `NEW`, `SAME` or `OTHER` of each id, and the minute of the row seen first; remember new ids.

        ids: distinct. minutes: below 16383.
        """
        ids = np.maximum(ids, np.uint64(1))  # 0 marks an empty slot
        prints = (prints & ~_MINUTE) | minutes.astype(np.uint64)
        found = self._old.find(ids)
        fresh = found == _ABSENT
        if fresh.any():
            self._young.reserve(int(fresh.sum()))
            found[fresh] = self._young.insert(ids[fresh], prints[fresh])
            self._young.minutes.update(np.unique(minutes[fresh]).tolist())
        if self._young.size > self._capacity:
            self.forgotten |= self._old.minutes
            self._old, self._young = self._young, _Generation()
        known = np.where(found == _ABSENT, NEW, np.where(found == prints, SAME, OTHER)).astype(np.int8)
        return known, (found & _MINUTE).astype(np.int32)


class _Generation:
    """Open addressing with linear probing, at most half full."""

    def __init__(self) -> None:
        self.size = 0
        self.minutes: set[int] = set()
        self._ids = np.zeros(16, np.uint64)
        self._prints = np.zeros(16, np.uint64)

    def reserve(self, wanted: int) -> None:
        slots = len(self._ids)
        while (self.size + wanted) * 2 > slots:
            slots *= 2
        if slots != len(self._ids):
            taken = self._ids != 0
            ids, prints = self._ids[taken], self._prints[taken]
            self._ids, self._prints = np.zeros(slots, np.uint64), np.zeros(slots, np.uint64)
            self.size = 0
            self.insert(ids, prints)

    def find(self, ids: _U64) -> _U64:
        """Return the prints of the ids; `_ABSENT` of those that are not there."""
        result = np.full(len(ids), _ABSENT)
        if not self.size:
            return result
        mask = np.uint64(len(self._ids) - 1)
        waiting, places = np.arange(len(ids)), ids & mask
        while len(waiting):
            there = self._ids[places]
            hit = there == ids[waiting]
            result[waiting[hit]] = self._prints[places[hit]]
            on = ~hit & (there != 0)
            waiting, places = waiting[on], (places[on] + np.uint64(1)) & mask
        return result

    def insert(self, ids: _U64, prints: _U64) -> _U64:
        """Do `find`, and put the absent ids in."""
        result = np.full(len(ids), _ABSENT)
        mask = np.uint64(len(self._ids) - 1)
        waiting, places = np.arange(len(ids)), ids & mask
        while len(waiting):
            empty = self._ids[places] == 0
            # of several that claim a slot, the last has it, and the others go on
            self._ids[places[empty]] = ids[waiting[empty]]
            hit = self._ids[places] == ids[waiting]
            mine, known = hit & empty, hit & ~empty
            self._prints[places[mine]] = prints[waiting[mine]]
            result[waiting[known]] = self._prints[places[known]]
            self.size += int(mine.sum())
            waiting, places = waiting[~hit], (places[~hit] + np.uint64(1)) & mask
        return result
