"""What must come out, told from the rows alone by rules as plain as they can be."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade, order_key, precedence


def winning_trades(rows: Iterable[Trade]) -> list[Trade]:
    """One row per event id by the domain's rule, in the lake's order."""
    return in_order({row.event_id: row for row in sorted(rows, key=precedence)}.values())


def in_order(rows: Iterable[Trade]) -> list[Trade]:
    return sorted(rows, key=lambda row: (row.symbol, *order_key(row)))


def sessions(rows: Iterable[Trade]) -> dict[date, list[Trade]]:
    """The winning rows of each session."""
    by_session: dict[date, list[Trade]] = defaultdict(list)
    for row in winning_trades(rows):
        by_session[session_date_of(row.event_time_ns)].append(row)
    return by_session


def windows(rows: Iterable[Trade], capacity: int) -> dict[SymbolKey, tuple[Trade, ...]]:
    """The newest winning rows of each symbol, oldest first; when they were seen is not part of state."""
    by_symbol: dict[SymbolKey, list[Trade]] = defaultdict(list)
    for row in winning_trades(rows):
        by_symbol[SymbolKey(row.symbol, row.feed)].append(without_ingest_time(row))
    return {key: tuple(held[-capacity:]) for key, held in by_symbol.items()}


def without_ingest_time(row: Trade) -> Trade:
    return replace(row, ingest_time_ns=0)
