"""The demo's report on a terminal. Progress belongs to `step_display`; no figure is computed here."""

import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stock_pipeline.domain.trade import exact_shares
from stock_pipeline.local.demo.report import DemoReport, QueryAnswer
from stock_pipeline.providers.files.sample_session import PublishedBar

SHOWN_STATES = 3
SHOWN_ROWS = 10
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 60

BAR_COLUMNS = ("open", "high", "low", "close", "volume")


def print_report(console: Console, report: DemoReport, published: PublishedBar | None) -> None:
    """Print the whole report."""
    _print_accounting(console, report)
    _print_rejections(console, report)
    _print_states(console, report)
    _print_bars(console, report, published)
    for answer in report.answers:
        _print_answer(console, answer)


def print_next_steps(console: Console, command: str, kept: str, json_file: Path | None) -> None:
    """Print lines to type.

    command: how this machine calls stock-pipeline.
    kept: what was kept of the lake, and where.
    """
    _heading(console, f"Everything agrees. {kept} What to type next:")
    steps = ("latest", 'query "SELECT * FROM daily_bars ORDER BY symbol"', "up")
    for step in steps:
        console.print(f"  {command} {step}", markup=False, highlight=False, soft_wrap=True)
    if json_file is not None:
        console.print(f"  figures written to {json_file}", markup=False, highlight=False)


def _print_accounting(console: Console, report: DemoReport) -> None:
    accounting = report.accounting
    _heading(console, "Accounting of every line that went into the stream")
    console.print(
        f"  published {accounting.published:,} = in the lake {accounting.in_lake:,} + duplicates "
        f"{accounting.duplicates:,} + rejected {accounting.rejected:,}   "
        + ("✓ balances" if accounting.balances else "✗ DOES NOT BALANCE"),
        highlight=False,
        soft_wrap=True,
    )


def _print_rejections(console: Console, report: DemoReport) -> None:
    _heading(console, "Dead-letter queue: rejected with payload and reason, nothing stopped for them")
    table = _table("reason", "detail", "payload")
    payload = min(34, (console.width - 16) * 2 // 5)
    detail = min(52, console.width - 16 - payload)
    for message in report.rejections[:SHOWN_ROWS]:
        table.add_row(
            message.get("reason", "failed batch"),
            _cut(message.get("detail", ""), detail),
            _cut(message.get("payload", ""), payload),
        )
    console.print(table)
    _print_rest(console, len(report.rejections))


def _print_states(console: Console, report: DemoReport) -> None:
    _heading(console, "Latest state in DynamoDB")
    windows = [average.window for average in report.states[0].averages] if report.states else []
    table = _table("symbol", "feed", "event time (UTC)", "price", "volume", *(f"SMA {window}" for window in windows))
    for figures in report.states[:SHOWN_STATES]:
        latest = figures.state.latest
        if latest is not None:
            table.add_row(
                latest.symbol,
                latest.feed,
                time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(latest.event_time_ns // 10**9)),
                _money(latest.price),
                _figure("volume", latest.volume),
                *(_money(average.price) for average in figures.averages),
            )
    console.print(table)
    _print_rest(console, len(report.states), SHOWN_STATES)


def _print_bars(console: Console, report: DemoReport, published: PublishedBar | None) -> None:
    _heading(
        console, "Daily bars" if published is None else f"Daily bar of {published.symbol}, beside the published one"
    )
    table = _table("session", "symbol", "feed", *BAR_COLUMNS)
    bars = [bar for bar in report.daily_bars if published is None or bar["symbol"] == published.symbol]
    for bar in bars[:SHOWN_ROWS]:
        table.add_row(
            str(bar["session_date"]), bar["symbol"], bar["feed"], *(_figure(name, bar[name]) for name in BAR_COLUMNS)
        )
    if published is not None:
        figures = (_figure(name, getattr(published, name)) for name in BAR_COLUMNS)
        table.add_row(str(published.session_date), published.symbol, "published", *figures)
    console.print(table)
    if published is None:
        _print_rest(console, len(bars))


def _print_answer(console: Console, answer: QueryAnswer) -> None:
    _heading(console, answer.query.title)
    console.print(f"  {answer.query.sql}", style="dim", markup=False, highlight=False, soft_wrap=True)
    if answer.columns == ("event_time", "price") and len(answer.rows) > SHOWN_ROWS:
        _print_trend(console, answer.rows)
        return
    table = _table(*answer.columns)
    # an answer without an order is shown in a stable one
    rows = answer.rows if "ORDER BY" in answer.query.sql else sorted(answer.rows)
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(_figure(name, value) for name, value in zip(answer.columns, row, strict=True)))
    console.print(table)
    _print_rest(console, len(answer.rows))


def _print_trend(console: Console, rows: Sequence[tuple[Any, ...]]) -> None:
    """Draw a day of prices: the last price in each of sixty equal spans of time."""
    times = [row[0].timestamp() for row in rows]
    width = (times[-1] - times[0]) / SPARK_WIDTH or 1
    last: dict[int, Decimal] = {}
    for moment, row in zip(times, rows, strict=True):
        last[min(SPARK_WIDTH - 1, int((moment - times[0]) / width))] = row[1]
    low, high = min(last.values()), max(last.values())
    scale = (len(SPARKS) - 1) / float(high - low or 1)
    line, spark = "", SPARKS[0]
    for span in range(SPARK_WIDTH):
        if span in last:
            spark = SPARKS[round(float(last[span] - low) * scale)]
        line += spark
    console.print(f"  {_money(high)}", highlight=False)
    console.print(f"  {line}")
    console.print(f"  {_money(low)}", highlight=False)
    first, final = rows[0], rows[-1]
    console.print(
        f"  {len(rows):,} trades from {first[0]:%H:%M:%S} ({_money(first[1])}) to {final[0]:%H:%M:%S} UTC "
        f"({_money(final[1])})",
        highlight=False,
    )


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}", style="bold", highlight=False)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 0, 0, 2), header_style="dim")
    numeric = {"price", "avg_price", "total_volume", *BAR_COLUMNS}
    for column in columns:
        is_number = column in numeric or column.startswith("SMA")
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    return table


def _print_rest(console: Console, count: int, shown: int = SHOWN_ROWS) -> None:
    if count > shown:
        console.print(f"   … and {count - shown:,} more", style="dim", highlight=False)


def _figure(column: str, value: Any) -> str:
    if "volume" in column and isinstance(value, Decimal):
        return f"{exact_shares(value):,}"
    return _money(value)


def _money(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:,.2f}" if value == value.quantize(Decimal("0.01")) else f"{value:,.4f}"
    if isinstance(value, float):
        return f"{value:,.4f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else str(value)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
