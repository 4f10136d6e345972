"""Rows of the realtime state as columns, so that all symbols of a batch are merged at once.

`domain.symbol_state` says what a state is, one symbol and one trade at a time; a property test holds the two equal. The
processor's merge and the table's adapter share the columns here.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState, revision_of
from stock_pipeline.domain.trade import ABSENT_VOLUME, PRICE_SCALE, Shares, Trade, price_units, share_columns, shares_of

Numbers = npt.NDArray[np.int64]

COLUMNS = EVENT_TIME, SEQUENCE, VERSION, PRICE, VOLUME, FRACTION, KIND = range(7)
"""Rows of `StateRows.numbers`: nanoseconds since 1970, the source's order, version, price in millionths of a dollar,
whole shares (`ABSENT_VOLUME` for none), millionths of a share, and the number of the row's kind.
"""


class Kind(NamedTuple):
    """What many rows of a symbol have in common."""

    status: str
    exchange: str
    conditions: str
    tape: str
    capture_mode: str


class Kinds:
    """The kinds of a batch's rows, each with a number. Threads may share it: those that read an item again do."""

    def __init__(self) -> None:
        self.known: list[Kind] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def number(self, *kind: str) -> int:
        """Return the number of a kind, given by its fields."""
        number = self._numbers.get(kind)
        if number is not None:
            return number
        with self._lock:
            if kind not in self._numbers:
                self.known.append(Kind(*kind))
                self._numbers[kind] = len(self.known) - 1
            return self._numbers[kind]


@dataclass(frozen=True, slots=True)
class StateRows:
    """Rows as columns.

    numbers: int64 [7, rows], see `COLUMNS`.
    event_ids: text [rows].
    """

    numbers: Numbers
    event_ids: npt.NDArray[np.object_]

    @property
    def count(self) -> int:
        return len(self.event_ids)

    def take(self, places: npt.NDArray[np.intp] | slice) -> "StateRows":
        return StateRows(self.numbers[:, places], self.event_ids[places])


NO_ROWS = StateRows(np.empty((len(COLUMNS), 0), np.int64), np.empty(0, object))


class ShownPrint(NamedTuple):
    """What an item shows of a row. price: in millionths of a dollar."""

    event_time_ns: int
    event_id: str
    price: int
    volume: Shares | None
    exchange: str
    conditions: str


class ShownAverage(NamedTuple):
    """`domain.moving_average.MovingAverage`. price: in millionths of a dollar."""

    window: int
    price: int
    trade_count: int


class NewState(NamedTuple):
    """A symbol's state to be written: the rows, and what an item shows of them.

    session_day: of `latest`, as days since 1970-01-01.
    """

    key: SymbolKey
    revision: str
    window: StateRows
    older: StateRows
    kinds: Kinds
    latest: ShownPrint | None
    last_eligible: ShownPrint | None
    session_day: int | None
    averages: Sequence[ShownAverage]


def rows_concatenated(parts: Sequence[StateRows]) -> StateRows:
    return StateRows(
        np.concatenate([NO_ROWS.numbers, *(part.numbers for part in parts)], axis=1),
        np.concatenate([NO_ROWS.event_ids, *(part.event_ids for part in parts)]),
    )


def rows_of_trades(trades: Sequence[Trade], kinds: Kinds) -> StateRows:
    if not trades:
        return NO_ROWS
    rows = []
    for trade in trades:
        whole, fraction = share_columns(trade.volume)
        kind = kinds.number(trade.status, trade.exchange, trade.conditions, trade.tape, trade.capture_mode)
        volume = ABSENT_VOLUME if whole is None else whole
        price = price_units(trade.price)
        rows.append((trade.event_time_ns, trade.sequence, trade.version, price, volume, fraction, kind))
    return StateRows(np.array(rows, np.int64).T, texts([trade.event_id for trade in trades]))


def trades_of_rows(key: SymbolKey, rows: StateRows, kinds: Kinds) -> tuple[Trade, ...]:
    """Return rows as trades, without ingest times, which states have none of."""
    trades = []
    for numbers, event_id in zip(rows.numbers.T.tolist(), rows.event_ids.tolist(), strict=True):
        event_time_ns, sequence, version, price, volume, fraction, number = numbers
        kind = kinds.known[number]
        trades.append(
            Trade(
                event_id=event_id,
                feed=key.feed,
                capture_mode=kind.capture_mode,
                symbol=key.symbol,
                event_time_ns=event_time_ns,
                sequence=sequence,
                price=Decimal(price).scaleb(-PRICE_SCALE),
                volume=volume_of(volume, fraction),
                exchange=kind.exchange,
                conditions=kind.conditions,
                tape=kind.tape,
                status=kind.status,
                version=version,
                ingest_time_ns=0,
            )
        )
    return tuple(trades)


def texts(values: Iterable[str]) -> npt.NDArray[np.object_]:
    listed = list(values)
    result = np.empty(len(listed), object)
    result[:] = listed
    return result


def volume_of(whole: int, fraction: int) -> Shares | None:
    return None if whole == ABSENT_VOLUME else shares_of(whole, fraction)


def revision_of_rows(older: StateRows, window: StateRows, kinds: Kinds) -> str:
    """Return `SymbolState.revision` of these rows."""
    numbers = np.concatenate([older.numbers, window.numbers], axis=1)
    ids = [*older.event_ids.tolist(), *window.event_ids.tolist()]
    known = kinds.known
    return revision_of(
        np.ascontiguousarray(numbers[:KIND], "<i8").tobytes(),
        [*ids, *(" ".join(known[number]) for number in numbers[KIND].tolist())],
    )


def new_state(state: SymbolState, average_windows: tuple[int, ...]) -> NewState:
    """Return a state of the domain in the form that is written."""
    kinds = Kinds()
    latest, last = state.latest, state.last_eligible
    return NewState(
        key=state.key,
        revision=state.revision,
        window=rows_of_trades(state.window, kinds),
        older=rows_of_trades(state.older, kinds),
        kinds=kinds,
        latest=_shown(latest) if latest else None,
        last_eligible=_shown(last) if last else None,
        session_day=state.session_date.toordinal() - _EPOCH_ORDINAL if state.session_date else None,
        averages=[
            ShownAverage(average.window, price_units(average.price), average.trade_count)
            for average in state.averages(average_windows)
        ],
    )


_EPOCH_ORDINAL = 719_163
"""Of 1970-01-01."""


def _shown(trade: Trade) -> ShownPrint:
    return ShownPrint(
        trade.event_time_ns,
        trade.event_id,
        price_units(trade.price),
        trade.volume,
        trade.exchange,
        trade.conditions,
    )
