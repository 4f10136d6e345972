"""What a format is: the columns that it is known by, and how its rows become trades.

`convert` gets rows of text, and returns the columns `READ`. Values that can't be read are null or fail their check in
`values`, which refuses the row by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl

READ = (
    "symbol",
    "event_time_ns",
    "sequence",
    "trade_id",
    "price",
    "volume",
    "exchange",
    "conditions",
    "tape",
    "correction",
)
"""symbol, exchange, tape: text. event_time_ns, sequence: int64 or null.

price, volume, correction: text as the file has it.
trade_id: the source's identity within symbol, session and exchange; null where it has none.
conditions: text in the format's alphabet.
"""


@dataclass(frozen=True)
class Declared:
    """What the file can't say and its user did.

    file_date: the date of its times, if its rows have none.
    columns: our name of a column by the file's, or by its place in a file without names, for the format `mapped`.
    symbol: of all rows, where no column has it.
    zone: of times without one.
    price_scale: decimal places of prices that are written as integers; None for prices in dollars.
    alphabet: of condition codes, in place of the format's.
    """

    file_date: date | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    price_scale: int | None = None
    alphabet: str = ""
    symbol: str = ""

    @property
    def by_place(self) -> bool:
        """Whether columns are told by their place, because the file does not name them."""
        return bool(self.columns) and all(theirs.isdecimal() for theirs in self.columns.values())


@dataclass(frozen=True)
class FileFormat:
    """A format of trades.

    needs: columns that a file of it has, in lower case; a file with all of them is one.
    feed: mark of its rows unless the user names one; "" where the file may be of several.
    alphabet: of its condition codes, see `condition_codes`.
    """

    name: str
    needs: frozenset[str]
    feed: str
    alphabet: str
    convert: Callable[[pl.DataFrame, Declared], pl.DataFrame]
    delimiter: str = ","
    quoted: bool = True
    trailer: str = ""
    """First field of a last line that is no trade."""
    price: str = "price"
    """Column of the price, in lower case."""
    only: tuple[str, tuple[str, ...]] = ("", ())
    """Column and values of rows that are trades, where a file has others too."""
    doubted_from: int | None = None
    """From how many rows on the unit of its prices and the alphabet of its codes are doubted; None for a vendor's own.
    A file in our own columns has dollars and letters, unless it is large and shows neither."""
    has_names: bool = True
    """Whether the first line names the columns; else they are named by their place, from 1 on."""
