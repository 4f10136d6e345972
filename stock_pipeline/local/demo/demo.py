"""The demo's steps: one session through the whole pipeline on this machine.

Figures are measured from outside, in stream, lake, queue, state table and models. `report` checks them, `display` shows
them. The Dagster job is passed in, because the local stack does not know Dagster.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

import boto3
import duckdb

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.lake_layout import RAW_PREFIX, session_date_of_key
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InputFileError
from stock_pipeline.local.demo.example_queries import example_queries
from stock_pipeline.local.demo.report import Accounting, DemoReport, QueryAnswer, SymbolFigures
from stock_pipeline.local.demo.sources import Source, broken_lines
from stock_pipeline.local.duckdb.catalog import connect_lake
from stock_pipeline.local.duckdb.connection import connected
from stock_pipeline.local.event_source.mapping import Batch, Plan
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.lambda_functions import processor_poller
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.local.step_display import Display
from stock_pipeline.streaming.producer import ProducerReport
from stock_pipeline.streaming.record_packing import partition_key

PUBLISH_SECONDS = 1800
DRAIN_SECONDS = 3600
HIDDEN_SECONDS = 3_600


class CompactionFigures(Protocol):
    """Figures of the session's compaction."""

    @property
    def rows_in(self) -> int: ...
    @property
    def rows_out(self) -> int: ...


RunSession = Callable[[date, Callable[[str], None]], CompactionFigures]
"""Runs the session's job: compact, prove, publish, build models. Its second argument hears of finished steps."""


@dataclass(frozen=True)
class Demo:
    """One run of the demo.

    first_symbol: the symbol of the second example query.
    """

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
        """Publish all sources' trades and the broken lines; return the number of lines."""
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
        self.display.started("Process the stream")
        observer = _DemoProgress(self.display)
        counts = processor_poller(self.stack, observer).run_until_idle(timeout_seconds=DRAIN_SECONDS)
        self.display.finished(f"{counts.records_delivered:,} records in {counts.invocations:,} invocations")

    def _run_session(self, session_date: date) -> CompactionFigures:
        self.display.started(f"Run the Dagster job for {session_date}")
        figures = self.run_session(session_date, self.display.note)
        self.display.finished(f"{figures.rows_in:,} rows compacted to {figures.rows_out:,}, models built")
        return figures

    def _sessions(self) -> tuple[date, ...]:
        """Return the session dates that have raw files."""
        listing = self.stack.wiring.objects.list(RAW_PREFIX)
        return tuple(sorted({session_date_of_key(listed.key) for listed in listing}))

    def _rejections(self) -> tuple[dict[str, Any], ...]:
        """Return every message of the queue. They stay there for redrive."""
        sqs, url = self.stack.clients.sqs, self.stack.settings.require_dead_letter_queue_url()
        messages: list[dict[str, Any]] = []
        # hidden meanwhile, or the first would come again before the last is seen
        while received := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN_SECONDS
        ).get("Messages"):
            messages.extend(json.loads(message["Body"]) for message in received)
        return tuple(messages)

    def _states(self, bars: Sequence[dict[str, Any]]) -> tuple[SymbolFigures, ...]:
        table = self.stack.wiring.state_table
        keys = list(dict.fromkeys(SymbolKey(bar["symbol"], bar["feed"]) for bar in bars))
        stored = table.read(keys)
        return tuple(
            SymbolFigures(stored[key].state, tuple(stored[key].state.averages(table.average_windows)))
            for key in keys
            if key in stored
        )

    def _query(self, sessions: Sequence[date]) -> tuple[tuple[dict[str, Any], ...], tuple[QueryAnswer, ...]]:
        """Return the daily bars and the example queries' answers, from the models that the job built."""
        settings = self.stack.settings
        with connected(settings.duckdb_path) as connection:
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


class _DemoProgress(SilentObserver):
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
        raise InputFileError(f"{name} has no valid trade: there is nothing to show")
    if report.kept:
        raise InputFileError(f"{name} can't be published here in {PUBLISH_SECONDS} seconds: use fewer rows")


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[dict[str, Any], ...]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return tuple(dict(zip(names, row, strict=True)) for row in cursor.fetchall())
