"""Ledger of a simulation: what lake, queue and state must hold in the end.

It is written while trades are made, when their last version is known. So it needs none of the pipeline's merging,
sorting or averaging, and a few rows per symbol.
"""

import hashlib
from collections import Counter, deque
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Shares, Trade, share_columns

HASH_MODULUS = 2**64

KEPT_TRADES = 60
"""Trades of each symbol, as many as the longest average that can be set needs in the realtime state."""

_MILLION = 10**6


class LakeDigest(NamedTuple):
    """Digest of distinct rows, whatever their order and repeats. A row is one version of one trade.

    row_hash: sum of every row's `row_hash`, modulo 2^64
    volume: sum of their volumes
    """

    rows: int
    volume: Shares
    row_hash: int


@dataclass(frozen=True, slots=True)
class ExpectedState:
    """View of a symbol that the realtime table must show: newest effective trade, and averages by window."""

    latest: Trade | None
    averages: dict[int, Decimal]
    newest_event_ids: tuple[str, ...]


@dataclass
class Ledger:
    """Counts and sums of a simulation, complete once its last arrival was handed over."""

    trades: int = 0
    repeats: int = 0
    late: int = 0
    reordered: int = 0
    corrected: int = 0
    cancelled: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)
    rows: int = 0
    volume: Shares = 0
    row_hash: int = 0
    newest: dict[str, deque[Trade]] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Return the number of rows, repeats and broken lines handed over."""
        return self.rows + self.repeats + self.rejected.total()

    @property
    def lake(self) -> LakeDigest:
        return LakeDigest(self.rows, self.volume, self.row_hash)

    def note_trade(self, winning: Trade) -> None:
        """Note a trade in its winning version. A symbol's trades come in their order."""
        self.trades += 1
        newest = self.newest.get(winning.symbol)
        if newest is None:
            newest = self.newest[winning.symbol] = deque(maxlen=KEPT_TRADES)
        newest.append(winning)

    def note_row(self, row: Trade) -> None:
        """Note one version of one trade, the first time it is made."""
        self.rows += 1
        self.volume += row.volume or 0
        self.row_hash = (self.row_hash + row_hash(*hashed_values(row))) % HASH_MODULUS

    def expected_state(self, symbol: str, average_windows: tuple[int, ...]) -> ExpectedState:
        newest = tuple(self.newest[symbol])[-window_capacity(average_windows) :]
        effective = [trade for trade in newest if trade.status != "cancelled"]
        averages = {}
        for window in average_windows:
            prices = [Fraction(trade.price) for trade in effective[-window:]]
            if prices:
                # Python rounds a fraction half to even
                averages[window] = Decimal(round(sum(prices) / len(prices) * _MILLION)).scaleb(-6)
        event_ids = tuple(trade.event_id for trade in newest)
        return ExpectedState(effective[-1] if effective else None, averages, event_ids)


HASHED_COLUMNS = (
    "event_id",
    "feed",
    "symbol",
    "event_time_ns",
    "sequence",
    "price",
    "volume",
    "volume_fraction",
    "exchange",
    "conditions",
    "tape",
    "status",
    "version",
    "capture_mode",
)
"""Every column but the ingest time, which differs between deliveries of a row."""


def hashed_values(row: Trade) -> tuple[object, ...]:
    return (
        row.event_id,
        row.feed,
        row.symbol,
        row.event_time_ns,
        row.sequence,
        int(row.price * _MILLION),
        *share_columns(row.volume),
        row.exchange,
        row.conditions,
        row.tape,
        row.status,
        row.version,
        row.capture_mode,
    )


def row_hash(*values: object) -> int:
    """Return a 64-bit hash of a row's values, the price in millionths: unlike Python's own, equal in any process."""
    return int.from_bytes(hashlib.blake2b(repr(values).encode(), digest_size=8).digest(), "little")
