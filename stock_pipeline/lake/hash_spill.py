"""Hashes of more rows than memory should hold: spilled to disk by their leading bits, and read back part by part.

Rows with equal hashes lie in one part, so whatever compares equal hashes looks at one part at a time.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stock_pipeline.lake.row_hash import Hashes

PARTS = 64
"""Of 100 million rows, each part then holds 1.6 million."""

_SHIFT = np.uint64(64 - PARTS.bit_length() + 1)


class HashSpill:
    """`columns` hashes a row, of which the first decides its part."""

    def __init__(self, folder: Path, columns: int) -> None:
        self._folder, self._columns = folder, columns
        folder.mkdir(parents=True)

    def add(self, *hashes: Hashes) -> None:
        rows = np.stack(hashes, axis=1)
        parts = rows[:, 0] >> _SHIFT
        order = np.argsort(parts.astype(np.uint8), kind="stable")
        bounds = np.searchsorted(parts[order], np.arange(PARTS + 1, dtype=np.uint64))
        rows = rows[order]
        for part in range(PARTS):
            if bounds[part] < bounds[part + 1]:
                with self._path(part).open("ab") as file:
                    rows[bounds[part] : bounds[part + 1]].tofile(file)

    def parts(self) -> Iterator[Hashes]:
        """The rows of each part, sorted by their first hash, one row of the array each."""
        for part in range(PARTS):
            path = self._path(part)
            if path.exists():
                rows = np.fromfile(path, np.uint64).reshape(-1, self._columns)
                yield rows[np.argsort(rows[:, 0])] if self._columns > 1 else np.sort(rows, axis=0)

    def _path(self, part: int) -> Path:
        return self._folder / f"{part:02}"
