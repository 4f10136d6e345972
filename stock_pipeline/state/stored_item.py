"""Rows of a state as the bytes of an item's attribute: zlib around JSON.

Every release reads the rows of the one before and after it: fields that a newer one adds stand behind these.
"""

import zlib
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np

from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.domain.trade import ABSENT_VOLUME, PRICE_SCALE, exact_shares, share_columns, shares_text
from stock_pipeline.errors import DamagedItemError, InvalidTradeError
from stock_pipeline.state.rows import KIND, NO_ROWS, Kinds, StateRows, texts, trades_of_rows, volume_of

_UNITS = 10**PRICE_SCALE

LEVEL = 9
"""Of zlib: six takes a tenth less time for 3 % more bytes, and a second kilobyte is a second write unit."""


class _Row(msgspec.Struct, array_like=True, gc=False):
    """A row in JSON. price, volume: text of all digits, but a whole volume is a number."""

    event_time_ns: int
    sequence: int
    event_id: str
    version: int
    status: str
    price: str
    volume: int | str | None
    exchange: str
    conditions: str
    tape: str
    capture_mode: str


_decoder = msgspec.json.Decoder(list[_Row])
_encode = msgspec.json.Encoder().encode


def packed(rows: StateRows, kinds: Kinds) -> bytes:
    """Return rows as bytes."""
    known = kinds.known
    listed = []
    for numbers, event_id in zip(rows.numbers.T.tolist(), rows.event_ids.tolist(), strict=True):
        event_time_ns, sequence, version, price, whole, fraction, number = numbers
        kind = known[number]
        volume = volume_of(whole, fraction)
        listed.append(
            _Row(
                event_time_ns,
                sequence,
                event_id,
                version,
                kind.status,
                price_text(price),
                volume if volume is None or isinstance(volume, int) else shares_text(volume),
                kind.exchange,
                kind.conditions,
                kind.tape,
                kind.capture_mode,
            )
        )
    return zlib.compress(_encode(listed), LEVEL)


def unpacked(window: bytes, kinds: Kinds) -> StateRows:
    """Return rows from their bytes. Raises `ValueError` if they are damaged."""
    try:
        rows = _decoder.decode(zlib.decompress(window))
        numbers = [
            (row.event_time_ns, row.sequence, row.version, _units(row.price), *_shares(row.volume)) for row in rows
        ]
        kind_numbers = [
            kinds.number(row.status, row.exchange, row.conditions, row.tape, row.capture_mode) for row in rows
        ]
        columns = np.array(numbers, np.int64).reshape(-1, KIND).T
    except (zlib.error, msgspec.DecodeError, ArithmeticError, InvalidTradeError) as error:
        raise ValueError(f"{error}") from error
    return StateRows(np.vstack([columns, np.array(kind_numbers, np.int64)]), texts([row.event_id for row in rows]))


class StoredItem(NamedTuple):
    """What the merge needs of an item. older: of its attribute, empty if it has none."""

    key: SymbolKey
    revision: str
    window: bytes
    older: bytes

    def rows(self, kinds: Kinds) -> tuple[StateRows, StateRows]:
        """Return the rows of the window, and the older ones. Raises `DamagedItemError`."""
        try:
            if not self.revision:
                raise ValueError("it has no revision")
            return unpacked(self.window, kinds), unpacked(self.older, kinds) if self.older else NO_ROWS
        except ValueError as error:
            raise DamagedItemError(
                f"the item of {self.key.symbol} ({self.key.feed}) can't be read ({error}): `stock-pipeline state "
                f"rebuild --symbol {self.key.symbol} --replace` makes it anew from the lake"
            ) from error

    def stored_state(self) -> StoredState:
        """Return the state as trades."""
        kinds = Kinds()
        window, older = (trades_of_rows(self.key, rows, kinds) for rows in self.rows(kinds))
        return StoredState(SymbolState(self.key, window, older), self.revision)


def price_text(units: int) -> str:
    """Return the digits of a price in millionths of a dollar: equal prices have one text."""
    whole, rest = divmod(units, _UNITS)
    return f"{whole}.{rest:0{PRICE_SCALE}}".rstrip("0") if rest else str(whole)


def _units(text: str) -> int:
    whole, _, places = text.partition(".")
    if not (whole + places).isdecimal():
        raise ValueError(f"price {text} is not a number of dollars")
    if len(places) > PRICE_SCALE:
        raise ValueError(f"price {text} has more than {PRICE_SCALE} decimal places")
    units: int = int(whole) * _UNITS + int(places.ljust(PRICE_SCALE, "0"))
    return units


def _shares(volume: int | str | None) -> tuple[int, int]:
    if isinstance(volume, int):
        if volume < 0:
            raise ValueError(f"volume {volume} is negative")
        return volume, 0
    if volume is None:
        return ABSENT_VOLUME, 0
    whole, fraction = share_columns(exact_shares(Decimal(volume)))
    return whole or 0, fraction
