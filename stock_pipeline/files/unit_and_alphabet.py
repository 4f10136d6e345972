"""What only a whole file shows: no price with a decimal point, no condition code with a letter.

Vendors' formats have their unit and their alphabet. A file whose columns somebody else made may have any, and both
would be read as something: 1234500 as dollars; Massive's 4, a bunched trade, as the tape's 4, derivatively priced.
"""

from pathlib import Path

import polars as pl

from stock_pipeline.errors import InputFileError
from stock_pipeline.files.file_format import Declared


class UnitAndAlphabet:
    """Fed with converted rows as they are read, judges them at the end, as far as `declared` leaves it open.

    least_rows: below so many they prove nothing.
    are_texts: whether prices are text in the file; a type of Parquet says itself if it is whole.
    """

    def __init__(self, declared: Declared, least_rows: int, are_texts: bool) -> None:
        self._least_rows, self._rows = least_rows, 0
        self._some_point, self._price = declared.price_scale is not None or not are_texts, ""
        self._some_letter, self._digit = bool(declared.alphabet), ""

    def add(self, converted: pl.DataFrame) -> None:
        self._rows += converted.height
        if not self._some_point:
            prices = converted.select(text=pl.col("price").fill_null(""))
            self._some_point = prices.select(pl.col("text").str.contains(r"[./eE]").any()).item()
            self._price = self._price or _first(prices, r"^\d+$")
        if not self._some_letter:
            codes = converted.select(text=pl.col("conditions").fill_null("")).unique(maintain_order=True)
            self._some_letter = codes.select(pl.col("text").str.contains("[@A-Z]").any()).item()
            self._digit = self._digit or _first(codes, r"\d")

    def check(self, path: Path) -> None:
        """Raise `InputFileError` if nobody can tell what the prices or the codes mean."""
        if self._rows < self._least_rows:
            return
        if not self._some_point and self._price:
            raise InputFileError(
                f"{path}: all prices are whole numbers, such as {self._price}, whose unit the file does not say: write "
                "them with a decimal point, or name the decimal places with --scale (--scale 4 reads 1234500 as "
                "123.45; --scale 0 reads whole dollars)"
            )
        if not self._some_letter and self._digit:
            raise InputFileError(
                f"{path}: all conditions are digits, such as {self._digit}, which the tape has among its letters and "
                "vendors among their numbers: say what they are with --conditions tape, massive or none"
            )


def _first(texts: pl.DataFrame, pattern: str) -> str:
    found = texts.filter(pl.col("text").str.strip_chars().str.contains(pattern)).head(1)["text"].to_list()
    return str(found[0]) if found else ""
