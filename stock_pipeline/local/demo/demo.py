"""The demo: one session through the whole pipeline on this machine, and the figures that show it arrived whole.

It wires the parts as an account would and measures from outside: what went into the stream against what the lake, the
queue, the state table and the models hold. How it looks on a terminal belongs to `display`; the Dagster job comes
in as a function, because the local stack does not know Dagster.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

import boto3
import duckdb

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.lake_layout import RAW_PREFIX, session_date_of_key
from stock_pipeline.domain.moving_average import MovingAverage
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InputFileError
from stock_pipeline.local.demo.example_queries import ExampleQuery, example_queries
from stock_pipeline.local.demo.sources import Source
from stock_pipeline.local.duckdb.catalog import connect_lake
from stock_pipeline.local.event_source.mapping import Batch, Plan
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.lambda_functions import processor_poller
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.local.step_display import Display
from stock_pipeline.providers.files.sample_session import PublishedBar
from stock_pipeline.streaming.producer import ProducerReport
from stock_pipeline.streaming.record_packing import partition_key
from stock_pipeline.streaming.trade_json import encode_trade

PUBLISH_SECONDS = 1800
DRAIN_SECONDS = 3600
HIDDEN_SECONDS = 3_600


class CompactionFigures(Protocol):
    """What the session's job says of its compaction."""

    @property
    def rows_in(self) -> int: ...
    @property
    def rows_out(self) -> int: ...


RunSession = Callable[[date, Callable[[str], None]], CompactionFigures]
"""Runs the session's job: compact, prove, publish, build the models. The second argument hears of finished steps."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """Every line that went into the stream, and where it is now."""

    published: int
    in_lake: int
    duplicates: int
    rejected: int

    @property
    def balances(self) -> bool:
        return self.published == self.in_lake + self.duplicates + self.rejected


@dataclass(frozen=True, slots=True)
class SymbolFigures:
    """The latest state of one symbol and feed as DynamoDB holds it."""

    state: SymbolState
    averages: tuple[MovingAverage, ...]


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    query: ExampleQuery
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo found. `rejections` are the messages of the dead-letter queue."""

    sessions: tuple[date, ...]
    accounting: Accounting
    rejections: tuple[dict[str, Any], ...]
    states: tuple[SymbolFigures, ...]
    daily_bars: tuple[dict[str, Any], ...]
    answers: tuple[QueryAnswer, ...]


@dataclass(frozen=True)
class Demo:
    """first_symbol: whose prices the second query shows."""

    stack: LocalStack
    sources: Sequence[Source]
    first_symbol: str
    run_session: RunSession
    display: Display

    def run(self) -> DemoReport:
        published = self._publish()
        self._process()
        rejections = self._rejections()
        sessions = self._sessions()
        figures = [self._run_session(session_date) for session_date in sessions]
        rows_in = sum(figure.rows_in for figure in figures)
        in_lake = sum(figure.rows_out for figure in figures)
        accounting = Accounting(published, in_lake, rows_in - in_lake, len(rejections))
        bars, answers = self._query(sessions)
        return DemoReport(sessions, accounting, rejections, self._states(bars), bars, answers)

    def _publish(self) -> int:
        """Every provider's trades and the broken lines, through the producer's code; the number of lines."""
        producer = replace(self.stack.wiring.producer, progress=self.display.advanced)
        deadline_ns = time.time_ns() + PUBLISH_SECONDS * 10**9
        lines = 0
        last_trade: Trade | None = None
        for source in self.sources:
            self.display.started(f"Publish {source.name}", source.rows)
            seen: list[Trade] = []
            report = producer.run(_remember_last(source.captures, seen), deadline_ns)
            _check_complete(report, source.name)
            last_trade = seen[-1]
            lines += report.trades + report.unreadable
            self.display.finished(f"{report.published:,} trades in {report.records:,} records")
        assert last_trade is not None
        broken = broken_lines(last_trade)
        self.display.started("Publish broken lines", len(broken))
        key = partition_key(last_trade.symbol, self.stack.settings.partition_buckets)
        producer.publisher.publish_lines(((key, line) for line in broken.values()), deadline_ns)
        self.display.finished(f"{len(broken)} lines that are no trades")
        return lines + len(broken)

    def _process(self) -> None:
        """Let the event source mapping call the processor until the stream is empty."""
        self.display.started("Process the stream")
        observer = _Progress(self.display)
        counts = processor_poller(self.stack, observer).run_until_idle(timeout_seconds=DRAIN_SECONDS)
        self.display.finished(f"{counts.records_delivered:,} records in {counts.invocations:,} invocations")

    def _run_session(self, session_date: date) -> CompactionFigures:
        self.display.started(f"Run the Dagster job for {session_date}")
        figures = self.run_session(session_date, self.display.note)
        self.display.finished(f"{figures.rows_in:,} rows compacted to {figures.rows_out:,}, models built")
        return figures

    def _sessions(self) -> tuple[date, ...]:
        """The session dates that the raw zone has files of."""
        listing = self.stack.wiring.objects.list(RAW_PREFIX)
        return tuple(sorted({session_date_of_key(listed.key) for listed in listing}))

    def _rejections(self) -> tuple[dict[str, Any], ...]:
        """Look at every message of the queue; they stay there for redrive."""
        sqs, url = self.stack.clients.sqs, self.stack.settings.require_dead_letter_queue_url()
        messages: list[dict[str, Any]] = []
        # hidden for as long as this takes, or the first would come again before the last is seen
        while received := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN_SECONDS
        ).get("Messages"):
            messages.extend(json.loads(message["Body"]) for message in received)
        return tuple(messages)

    def _states(self, bars: Sequence[dict[str, Any]]) -> tuple[SymbolFigures, ...]:
        """The state of every symbol that has a bar."""
        table = self.stack.wiring.state_table
        keys = list(dict.fromkeys(SymbolKey(bar["symbol"], bar["feed"]) for bar in bars))
        held = table.read(keys)
        return tuple(
            SymbolFigures(held[key].state, tuple(held[key].state.averages(table.average_windows)))
            for key in keys
            if key in held
        )

    def _query(self, sessions: Sequence[date]) -> tuple[tuple[dict[str, Any], ...], tuple[QueryAnswer, ...]]:
        """The daily bars and the answers of the example queries, from the models that the job built."""
        settings = self.stack.settings
        with duckdb.connect(settings.duckdb_path) as connection:
            session = boto3.Session(region_name=settings.aws_region)
            connect_lake(connection, session, settings.bucket_name, settings.database_name, self.stack.endpoint)
            bars = _rows(connection, "SELECT * FROM daily_bars ORDER BY session_date, feed DESC, symbol")
            queries = example_queries(sessions[-1], self.first_symbol) if sessions else ()
            answers = []
            for query in queries:
                cursor = connection.execute(query.sql)
                columns = tuple(column[0] for column in cursor.description or ())
                answers.append(QueryAnswer(query, columns, tuple(cursor.fetchall())))
        return bars, tuple(answers)


def broken_lines(good: Trade) -> dict[str, bytes]:
    """Lines that are no trades, each broken in one way, by what is wrong with them."""
    line = encode_trade(good)
    volume = b'"volume":%d' % (good.volume or 0)
    return {
        "not JSON": b"BTC 64000.5 bought at noon",
        "wrong type": line.replace(volume, b'"volume":"a lot"'),
        "negative price": encode_trade(replace(good, price=Decimal("-1.25"))),
        "unknown field": line[:-1] + b',"mood":"bullish"}',
        "symbol of 300 characters": encode_trade(replace(good, symbol="X" * 300)),
        "integer beyond 64 bits": line.replace(volume, b'"volume":%d' % 2**64),
    }


def disagreements(report: DemoReport, published: PublishedBar | None) -> list[str]:
    """A sentence for each figure that is not what it must be; none if all agree."""
    found = []
    if not report.accounting.balances:
        found.append(f"the accounting does not balance: {report.accounting}")
    if published is None:
        return found
    bars = [
        bar
        for bar in report.daily_bars
        if (bar["symbol"], bar["session_date"]) == (published.symbol, published.session_date)
    ]
    if len(bars) != 1:
        return [*found, f"there are {len(bars)} daily bars of {published.symbol} on {published.session_date}"]
    for name in ("open", "high", "low", "close", "volume"):
        if bars[0][name] != getattr(published, name):
            found.append(f"{name} of {published.symbol} is {bars[0][name]}, published is {getattr(published, name)}")
    return found


def report_json(report: DemoReport) -> dict[str, Any]:
    """The figures for a machine: accounting, state and daily bars. Prices are decimals."""
    accounting = report.accounting
    return {
        "sessions": [session_date.isoformat() for session_date in report.sessions],
        "accounting": {
            "published": accounting.published,
            "in_lake": accounting.in_lake,
            "duplicates": accounting.duplicates,
            "rejected": accounting.rejected,
            "rejected_by_reason": dict(Counter(message.get("reason", "failed batch") for message in report.rejections)),
            "balances": accounting.balances,
        },
        "state": [_state_json(figures) for figures in report.states],
        "daily_bars": [dict(bar) for bar in report.daily_bars],
    }


def _state_json(figures: SymbolFigures) -> dict[str, Any]:
    state, latest = figures.state, figures.state.latest
    document: dict[str, Any] = {"symbol": state.key.symbol, "feed": state.key.feed}
    if latest is not None:
        document |= {
            "price": latest.price,
            "volume": latest.volume,
            "event_time_ns": latest.event_time_ns,
            "event_id": latest.event_id,
            "session_date": state.session_date,
        }
    return document | {f"sma_{average.window}": average.price for average in figures.averages}


class _Progress(SilentObserver):
    def __init__(self, display: Display) -> None:
        self._display = display

    def batch_finished(self, shard_id: str, batch: Batch, plan: Plan) -> None:  # noqa: ARG002
        self._display.advanced(len(plan.done))

    def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None:
        self._display.note(f"{shard_id}: {doing} failed and is tried again: {error}")


def _remember_last(captures: Iterator[Capture], seen: list[Trade]) -> Iterator[Capture]:
    for capture in captures:
        seen[:] = capture.trades[-1:] or seen
        yield capture


def _check_complete(report: ProducerReport, name: str) -> None:
    if not report.trades:
        raise InputFileError(f"{name} has no row that is a trade; nothing to show")
    if report.kept:
        raise InputFileError(f"{name} is too much for {PUBLISH_SECONDS} seconds of publishing on this machine")


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[dict[str, Any], ...]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return tuple(dict(zip(names, row, strict=True)) for row in cursor.fetchall())
