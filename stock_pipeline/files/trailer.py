"""The last line of a file that says how many rows it has, as NYSE TAQ's `END|20240103|61234567|` does."""

from pathlib import Path

import polars as pl

from stock_pipeline.errors import InputFileError

_OWN_LINES = 2
"""The line of names and the last line: NYSE's text does not say if the count has them in it."""


class Trailer:
    """Takes last lines out of a file's rows, and holds the count in them against the rows read.

    A file without such a line is taken as it is, since extracts have none; so is a line without a count.
    """

    def __init__(self, mark: str, delimiter: str) -> None:
        self._mark, self._delimiter = mark, delimiter
        self._rows = 0
        self._told: list[int] = []

    def take(self, line: str) -> bool:
        """Return whether a line of other length than the header is a last line, which is no broken row then."""
        fields = line.split(self._delimiter)
        if not self._mark or fields[0] != self._mark:
            self._rows += 1
            return False
        self._add(fields[2:3])
        return True

    def without(self, rows: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
        """Return the rows that are none."""
        if not self._mark:
            return rows
        last = pl.col(columns[0]) == self._mark
        for fields in rows.filter(last).select(columns).rows():
            self._add(fields[2:3])
        rows = rows.filter(~last)
        self._rows += rows.height
        return rows

    def _add(self, count: list[str] | tuple[str, ...]) -> None:
        self._told += [int(text) for text in count if text.strip().isdecimal()]

    def check(self, path: Path) -> None:
        """Raise `InputFileError` if the file has other rows than it says."""
        if self._told and not 0 <= sum(self._told) - self._rows <= _OWN_LINES:
            raise InputFileError(
                f"{path} has {self._rows} rows, and its line {self._mark} says {sum(self._told)}: take it again from "
                f"its vendor, or take the line {self._mark} out if the rows are chosen ones"
            )
