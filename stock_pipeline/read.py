"""Prices for notebooks and services: the latest of each symbol, bars, and trades, on a laptop and in an account.

    from stock_pipeline import read
    read.latest()
    read.bars("AAPL", date(2026, 1, 12), date(2026, 1, 16), size="1m", into="polars")

Every function takes `env` as commands do (`stock-pipeline query --help`): None finds what runs here, and else what the
demo left. It reads only, asks the models that `stock-pipeline query` asks, and keeps nobody waiting.

into: "arrow" (a pyarrow.Table), "polars" or "pandas" (a DataFrame). Prices and volumes are exact decimals.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.feed_session import feed_sessions
from stock_pipeline.domain.trade import SYMBOL
from stock_pipeline.errors import InputFileError
from stock_pipeline.place import DEMO_FOLDER, environ_of, is_kept_demo
from stock_pipeline.project_files import LATEST_FILE
from stock_pipeline.settings import Settings

if TYPE_CHECKING:
    from stock_pipeline.aws.athena import Answer
    from stock_pipeline.aws.shown_state import ShownState

Into = Literal["arrow", "polars", "pandas"]
Size = Literal["1m", "5m", "1h", "1d"]
Adjusted = Literal["splits", "splits_and_dividends"]

_BARS = {
    "1m": ("minute_bars", "minute_start"),
    "5m": ("five_minute_bars", "bar_start"),
    "1h": ("hourly_bars", "bar_start"),
    "1d": ("daily_bars", "session_date"),
}
_FIGURES = "open, high, low, close, volume, vwap, trade_count"
_PRICE = pa.decimal128(18, 6)


def latest(*symbols: str, env: str | None = None, into: Into = "arrow") -> Any:
    """Return the newest execution and averages of some or all symbols, a row a symbol and feed, sorted.

    Columns: symbol, feed, session_date, event_time (UTC), price, volume, last_eligible (what the tape takes for its
    last price), sma_5, … (by trades, as MOVING_AVERAGE_WINDOWS says), age_seconds.
    """
    wanted = {_symbol(symbol) for symbol in symbols}
    with _place(env, ("STATE_TABLE_NAME",)) as settings:
        kept = _kept_latest(settings)
        table = latest_of(settings, time.time_ns()) if kept is None else kept
    if wanted:
        table = table.filter(pa.array([symbol in wanted for symbol in table["symbol"].to_pylist()], pa.bool_()))
    return _converted(table, into)


def bars(
    symbol: str,
    start: date,
    end: date | None = None,
    size: Size = "1d",
    *,
    adjusted: Adjusted | None = None,
    feed: str | None = None,
    env: str | None = None,
    into: Into = "arrow",
) -> Any:
    """Return bars of the sessions from `start` to `end`, both included, in order.

    adjusted: days only, in today's shares and, with dividends, as if they were reinvested; None as they were traded.
    feed: only this one; feeds are never mixed in a bar.
    """
    if size not in _BARS:
        raise InputFileError(f"there are no bars of {size!r}: size takes {', '.join(_BARS)}")
    model, opens = _BARS[size]
    part = "" if size == "1d" else "session_part, "
    which = _which(symbol, feed)
    if adjusted is not None:
        if size != "1d" or adjusted not in get_args(Adjusted):
            raise InputFileError(
                f"only bars of size 1d are adjusted, and adjusted takes {', '.join(get_args(Adjusted))}"
            )
        model, which = "daily_bars_adjusted", f"{which} AND adjustment = '{adjusted}'"
    sql = (
        f"SELECT symbol, feed, {opens}, {part}{_FIGURES} FROM {model} WHERE {which} AND "
        f"{_within(start, end or start)} ORDER BY feed, {opens}{part and ', session_part'}"
    )
    with _place(env, ("BUCKET_NAME",)) as settings:
        return _converted(_ask(settings, sql).table(), into)


def trades(
    symbol: str,
    start: date,
    end: date | None = None,
    *,
    feed: str | None = None,
    env: str | None = None,
    into: Into = "arrow",
) -> Any:
    """Return the market data of the sessions from `start` to `end`, both included: each execution once, in order.

    It is `stock_market_data`, without cancelled trades and official prints. Only these sessions' partitions are read.

    feed: only this one; a feed that never closes has to be named, or its weekends are left out.
    """
    parts = list(trades_by_session(symbol, start, end, feed=feed, env=env))
    return _converted(pa.concat_tables(parts), into)


def trades_by_session(
    symbol: str,
    start: date,
    end: date | None = None,
    *,
    feed: str | None = None,
    env: str | None = None,
    into: Into = "arrow",
) -> Iterator[Any]:
    """Yield `trades` session by session, each read when it is asked for, so that a year needs the memory of a day."""
    which, end = _which(symbol, feed), end or start
    _check_range(start, end)
    # every day is a session of a feed that never closes, which has to be named for that
    for day in list(feed_sessions(start, end, feed or "")) or [start]:
        sql = (
            "SELECT symbol, feed, session_date, event_time, event_time_ns, sequence, event_id, price, volume, "
            f"exchange, conditions FROM stock_market_data WHERE {which} AND {_within(day, day)} "
            "ORDER BY feed, event_time_ns, sequence, event_id"
        )
        with _place(env, ("BUCKET_NAME",)) as settings:
            table = _ask(settings, sql).table()
        yield _converted(table, into)


def latest_of(settings: Settings, now_ns: int) -> pa.Table:
    """Read the realtime table.

    Raises: what boto3 raises, and `StockPipelineError`.
    """
    from stock_pipeline.aws.shown_state import ShownStates
    from stock_pipeline.wiring import Wiring

    windows = settings.moving_average_windows
    with Wiring.open(settings) as wiring:
        states = ShownStates(wiring.clients.dynamodb, settings.state_table_name, windows).read()
        found = sorted(states, key=lambda state: (state.key.symbol, state.key.feed))
    return _latest_table(found, windows, now_ns)


def _latest_table(states: "list[ShownState]", windows: tuple[int, ...], now_ns: int) -> pa.Table:
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "symbol": (pa.string(), [state.key.symbol for state in states]),
        "feed": (pa.string(), [state.key.feed for state in states]),
        "session_date": (pa.date32(), [state.session_date for state in states]),
        "event_time": (pa.timestamp("us"), [_utc(state.event_time_ns) for state in states]),
        "price": (_PRICE, [state.price for state in states]),
        "volume": (pa.decimal128(25, 6), [state.volume for state in states]),
        "last_eligible": (_PRICE, [state.last_eligible for state in states]),
    }
    for window in windows:
        averages = [state.averages.get(window) for state in states]
        columns[f"sma_{window}"] = (_PRICE, [average and _six_places(average) for average in averages])
    columns["age_seconds"] = (pa.float64(), [round((now_ns - state.event_time_ns) / 1e9, 3) for state in states])
    arrays = [pa.array(values, type=kind) for kind, values in columns.values()]
    return pa.table(arrays, names=list(columns))


def _six_places(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.000001"))


def _utc(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).replace(
        tzinfo=None, microsecond=nanoseconds // 1000 % 10**6
    )


def _kept_latest(settings: Settings) -> pa.Table | None:
    """Return what the demo kept, if `settings` lead to it: its services are gone."""
    file = (DEMO_FOLDER / LATEST_FILE).absolute()
    if not is_kept_demo(settings) or not file.exists():
        return None
    return pq.read_table(file)


@contextmanager
def _place(env: str | None, needs: tuple[str, ...]) -> Iterator[Settings]:
    """Yield a place's settings; boto3 and DuckDB read the process's environment, which is put back after."""
    before = dict(os.environ)
    found = environ_of(env, before, needs, only_reads=True)
    _replace(found)
    try:
        yield Settings.from_env(found)
    finally:
        _replace(before)


def _replace(environ: dict[str, str]) -> None:
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update(environ)


def ask(settings: Settings, sql: str, note: Any) -> "Answer":
    """Return the rows of one statement that reads, from the engine that DBT_TARGET names.

    note: hears what the rows may lack.
    """
    if settings.dbt_target == "athena":
        from stock_pipeline.domain.reading_sql import check_reads
        from stock_pipeline.wiring import Wiring

        check_reads(sql)
        with Wiring.open(settings) as wiring:
            return wiring.athena.query(sql)
    from stock_pipeline.local.duckdb.query import query_duckdb

    return query_duckdb(settings, sql, note)


def _ask(settings: Settings, sql: str) -> "Answer":
    import warnings

    return ask(settings, sql, lambda text: warnings.warn(text, stacklevel=4))


def _symbol(symbol: str) -> str:
    if not SYMBOL.fullmatch(symbol):
        raise InputFileError(f"{symbol[:30]!r} is no ticker symbol: it takes one such as AAPL")
    return symbol


def _which(symbol: str, feed: str | None) -> str:
    if feed is not None and not (feed.isascii() and feed.replace("_", "").isalnum()):
        raise InputFileError(f"{feed[:30]!r} is no feed: it takes one such as iex")
    return f"symbol = '{_symbol(symbol)}'" + (f" AND feed = '{feed}'" if feed else "")


def _within(start: date, end: date) -> str:
    """Return the filter of the sessions, which engines prune partitions by."""
    _check_range(start, end)
    first, last = (f"{day.year * 10_000 + day.month * 100 + day.day}" for day in (start, end))
    years = f"year = {start.year}" if start.year == end.year else f"year BETWEEN {start.year} AND {end.year}"
    if start == end:
        return f"{years} AND month = {start.month} AND day = {start.day}"
    return f"{years} AND year * 10000 + month * 100 + day BETWEEN {first} AND {last}"


def _check_range(start: date, end: date) -> None:
    for day in (start, end):
        # a time is of no session by itself: after-hours trades of New York are of the next day in UTC
        if not isinstance(day, date) or isinstance(day, datetime):
            raise InputFileError(f"{day!r} is no session's date: it takes one such as date(2026, 1, 12)")
    if end < start:
        raise InputFileError(f"end, {end}, is before start, {start}")


def _converted(table: pa.Table, into: Into) -> Any:
    if into == "arrow":
        return table
    if into == "polars":
        import polars as pl

        return pl.from_arrow(table)
    if into == "pandas":
        return table.to_pandas()
    raise InputFileError(f"into takes arrow, polars or pandas, and not {into!r}")
