"""Batches that are timed, and the state before them. Seeded: every run has the same."""

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

from stock_pipeline.domain.moving_average import merge, window_capacity
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import Simulation, arrivals
from stock_pipeline.state.rows import Kinds, rows_of_trades
from stock_pipeline.state.stored_item import StoredItem, packed
from stock_pipeline.streaming.record_packing import pack, partition_key
from stock_pipeline.streaming.trade_json import encode_trade

TRADES = 10_000
AVERAGE_WINDOWS = (5, 20)
"""The defaults of MOVING_AVERAGE_WINDOWS and, below, of PARTITION_BUCKETS."""

PARTITION_BUCKETS = 64

SESSION = date(2026, 1, 16)
SHARD = "shardId-000000000000"

_CAPTURE_DELAY_NS = 40_000_000

Windows = dict[SymbolKey, tuple[Trade, ...]]


@dataclass(frozen=True)
class Batch:
    """One invocation's event, the number of its session dates, and the symbols' windows before it."""

    event: dict[str, Any]
    session_dates: int
    windows: Windows

    @cached_property
    def items(self) -> dict[SymbolKey, StoredItem]:
        """The windows as the table has them."""
        kinds = Kinds()
        return {
            key: StoredItem(key, "held", packed(rows_of_trades(window, kinds), kinds), b"")
            for key, window in self.windows.items()
        }

    @property
    def payload_bytes(self) -> int:
        return sum(len(record["kinesis"]["data"]) for record in self.event["Records"]) * 3 // 4


@dataclass(frozen=True)
class Session:
    """Last `TRADES` trades of a simulated session by time, closing prints included, and the windows of all before."""

    trades: tuple[Trade, ...]
    windows: Windows

    def a_record_each(self) -> Batch:
        return Batch(_event([encode_trade(trade) for trade in self.trades]), self._dates(), self.windows)

    def packed(self) -> Batch:
        lines = ((partition_key(trade.symbol, PARTITION_BUCKETS), encode_trade(trade)) for trade in self.trades)
        return Batch(_event([record.data for record in pack(lines)]), self._dates(), self.windows)

    def one_cut_short(self) -> Batch:
        """Put a trade in each record, and cut the JSON of the middle one."""
        return self._with_middle(lambda line: line[:-20])

    def one_bad_value(self) -> Batch:
        """Put a trade in each record, the middle one well-formed with a price below zero."""
        return self._with_middle(lambda line: line.replace(b'"price":', b'"price":-'))

    def _dates(self) -> int:
        return len({session_date_of(trade.event_time_ns) for trade in self.trades})

    def _with_middle(self, spoil: Callable[[bytes], bytes]) -> Batch:
        lines = [encode_trade(trade) for trade in self.trades]
        middle = len(lines) // 2
        lines[middle] = spoil(lines[middle])
        return Batch(_event(lines), self._dates(), self.windows)


def session(symbols: int) -> Session:
    names = tuple(f"S{number:04}" for number in range(symbols))
    before = window_capacity(AVERAGE_WINDOWS) * symbols
    simulation = Simulation(names, SESSION, before + TRADES, seed=7)
    rows = [row for row in arrivals(simulation, 0, Ledger()) if isinstance(row, Trade)]
    # whole shares: the other ways' types take no part of one
    trades = [
        replace(row, ingest_time_ns=row.event_time_ns + _CAPTURE_DELAY_NS, volume=math.ceil(row.volume or 0))
        for row in rows
    ]
    return Session(tuple(trades[-TRADES:]), _windows(trades[:-TRADES]))


def _windows(trades: Sequence[Trade]) -> Windows:
    by_symbol: dict[SymbolKey, list[Trade]] = {}
    for trade in trades:
        by_symbol.setdefault(SymbolKey(trade.symbol, trade.feed), []).append(replace(trade, ingest_time_ns=0))
    return {key: merge((), rows, window_capacity(AVERAGE_WINDOWS)) for key, rows in by_symbol.items()}


def _event(payloads: Sequence[bytes]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "bucket-0001",
                    "sequenceNumber": f"{number:056}",
                    "data": base64.b64encode(payload).decode(),
                    "approximateArrivalTimestamp": 1768600000.5,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{SHARD}:{number:056}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/processor",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/stock-stream",
            }
            for number, payload in enumerate(payloads, 1)
        ]
    }
