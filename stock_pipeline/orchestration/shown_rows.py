"""A few rows as Markdown, for an asset's page: bars of a session, latest prices."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg

from stock_pipeline.aws.shown_state import ShownState
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import Wiring

ROWS = 25
_BARS = "symbol, feed, open, high, low, close, volume, vwap, trade_count"


def latest_prices(states: Iterable[ShownState]) -> dg.MetadataValue:
    """Return the newest symbols' prices, the newest first."""
    newest = sorted(states, key=lambda state: -state.event_time_ns)
    windows = sorted({window for state in newest[:ROWS] for window in state.averages})
    heads = ["symbol", "feed", "time (UTC)", "price", "volume", *(f"SMA {window}" for window in windows)]
    rows = [
        [
            state.key.symbol,
            state.key.feed,
            f"{datetime.fromtimestamp(state.event_time_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}",
            state.price,
            state.volume,
            *(state.averages.get(window) for window in windows),
        ]
        for state in newest[:ROWS]
    ]
    return _markdown(heads, rows, len(newest))


def bars_of(settings: Settings, session_date: date) -> dg.MetadataValue:
    """Return the daily bars of a session, the largest turnover first, as the engine has them.

    Raises: what the engine raises.
    """
    year, month, day = session_date.timetuple()[:3]
    sql = (
        f"SELECT {_BARS} FROM daily_bars WHERE year = {year} AND month = {month} AND day = {day} "
        "ORDER BY vwap * volume DESC, symbol, feed"
    )
    rows = _athena(settings, sql) if settings.dbt_target == "athena" else _duckdb(settings, sql)
    return _markdown(_BARS.split(", "), rows, len(rows))


def _athena(settings: Settings, sql: str) -> Sequence[Sequence[Any]]:
    with Wiring.open(settings) as wiring:
        return wiring.athena.query(sql).rows


def _duckdb(settings: Settings, sql: str) -> Sequence[Sequence[Any]]:
    import duckdb

    with duckdb.connect(settings.duckdb_path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[Any]], count: int) -> dg.MetadataValue:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(map(_text, row))} |" for row in rows[:ROWS]]
    if count > ROWS:
        lines.append(f"\n… and {count - ROWS:,} more")
    return dg.MetadataValue.md("\n".join(lines))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        whole, _, places = f"{value:,f}".partition(".")
        places = places.rstrip("0")
        return whole if not places else f"{whole}.{places.ljust(2, '0')}"
    return f"{value:,}" if isinstance(value, int) else str(value)
