"""Spills hashes of more rows than memory should hold to disk, in parts by their leading bits.

Equal hashes lie in one part.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stock_pipeline.lake.row_hash import Hashes

PARTS = 64
"""Of 100 million rows, each part has 1.6 million."""

_BUFFER_ROWS = 524_288
"""Written together, because opening files costs more than writing a few rows."""

_SHIFT = np.uint64(64 - PARTS.bit_length() + 1)


class HashSpill:
    """`columns` hashes a row; the first one decides the row's part."""

    def __init__(self, folder: Path, columns: int) -> None:
        self._paths = [[folder / f"{part:02}-{column}" for column in range(columns)] for part in range(PARTS)]
        self._buffer: list[tuple[Hashes, ...]] = []
        self._buffered_rows = 0
        folder.mkdir(parents=True)

    def add(self, *columns: Hashes) -> None:
        self._buffer.append(columns)
        self._buffered_rows += len(columns[0])
        if self._buffered_rows >= _BUFFER_ROWS:
            self._write()

    def parts(self) -> Iterator[list[Hashes]]:
        """Yield the columns of each part, unordered."""
        self._write()
        for paths in self._paths:
            if paths[0].exists():
                yield [np.fromfile(path, np.uint64) for path in paths]

    def _write(self) -> None:
        if not self._buffer:
            return
        columns = [np.concatenate(column) for column in zip(*self._buffer, strict=True)]
        self._buffer, self._buffered_rows = [], 0
        parts = (columns[0] >> _SHIFT).astype(np.uint8)
        order = np.argsort(parts, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(parts, minlength=PARTS))])
        ordered = [column[order] for column in columns]
        for part in np.flatnonzero(np.diff(bounds)).tolist():
            for path, column in zip(self._paths[part], ordered, strict=True):
                with path.open("ab") as file:
                    column[bounds[part] : bounds[part + 1]].tofile(file)
