"""`stock-pipeline alerts`: check a file of price alert rules, also against a session of the past."""

import argparse
import contextlib
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from stock_pipeline.commands.alert_rules import rules_of
from stock_pipeline.commands.environment import BUCKET, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, day
from stock_pipeline.errors import InputFileError, StockPipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    import polars as pl

    from stock_pipeline.domain.price_alert import Rule
    from stock_pipeline.domain.symbol_state import SymbolKey
    from stock_pipeline.serving.live_session import LiveSession
    from stock_pipeline.settings import Settings


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "alerts",
        summary="check price alert rules, also against a past session",
        description="Works on files of price alert rules, which serve and up watch.",
        example="stock-pipeline alerts check examples/alerts.toml",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", title="actions")
    check = add_command(
        actions,
        "check",
        summary="read the rules, and show what they would have told in a session",
        description="Reads a file of rules and prints each in words, or says what is wrong and where. With a session, "
        "of the lake or of a file of its trades, prints what the rules would have told in it. Nothing is sent or kept.",
        example="stock-pipeline alerts check alerts.toml --session 2026-01-15",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="rules, as in examples/alerts.toml")
    source = check.add_mutually_exclusive_group()
    source.add_argument("--session", type=day, metavar="DATE", help="a session of the lake to try the rules on")
    source.add_argument(
        "--replay", type=Path, metavar="PARQUET", help="a raw or curated file of the lake to try them on"
    )
    add_env(check)
    check.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    rules = rules_of(options.file)
    print(f"{options.file}: {len(rules)} {'rule' if len(rules) == 1 else 'rules'}, no fault")
    for rule in rules:
        bounds = [f"{name} session {at}" for name, at in (("first", rule.first), ("last", rule.last)) if at]
        print(f"  {rule.name}: {', '.join([', '.join(rule.symbols), rule.feed or 'any feed', *bounds])}")
        print(f"    {rule.says}")
    if options.replay:
        _show(rules, _session_of_file(options.replay), {})
    elif options.session:
        _try_on_lake(rules, options)
    return 0


def _try_on_lake(rules: "tuple[Rule, ...]", options: argparse.Namespace) -> None:
    from stock_pipeline.commands.query import ask
    from stock_pipeline.place import is_kept_demo
    from stock_pipeline.serving.history import History

    settings = settings_of(options, BUCKET, only_reads=True)
    read = _kept_session if is_kept_demo(settings) else _lake_session
    with read(settings, options.session) as session:
        if not session.series:
            raise InputFileError(f"the lake has no trades of {options.session}")
        history = History(lambda sql: ask(settings, sql, note=lambda _text: None).rows, time.monotonic, 0)
        closes: Mapping[SymbolKey, Decimal] = {}
        # no models yet: the rules begin the session armed
        with contextlib.suppress(StockPipelineError):
            closes = history.previous_closes(options.session)
        _show(rules, session, closes)


@contextlib.contextmanager
def _lake_session(settings: "Settings", session_date: date) -> "Iterator[LiveSession]":
    from stock_pipeline.serving.follower import Follower
    from stock_pipeline.wiring import Wiring, utc_now

    with Wiring.open(settings) as wiring:
        follower = Follower(wiring.objects, wiring.partition, utc_now, session_date)
        try:
            follower.look()
            assert follower.session is not None
            yield follower.session
        finally:
            follower.close()


@contextlib.contextmanager
def _kept_session(_settings: "Settings", session_date: date) -> "Iterator[LiveSession]":
    """Yield a session of the demo, which keeps all of its raw files."""
    from stock_pipeline.domain.lake_layout import raw_partition_prefix
    from stock_pipeline.place import DEMO_FOLDER
    from stock_pipeline.project_files import KEPT_LAKE
    from stock_pipeline.serving.live_session import LiveSession
    from stock_pipeline.serving.trade_rows import read_rows

    def rows(path: str) -> "pl.DataFrame":
        return read_rows(Path(path).read_bytes(), session_date)

    session = LiveSession(session_date, rows)
    for path in sorted((DEMO_FOLDER / KEPT_LAKE / raw_partition_prefix(session_date)).glob("*.parquet")):
        session.add([(str(path), rows(str(path)))])
    yield session


def _session_of_file(path: Path) -> "LiveSession":
    import pyarrow.parquet as pq

    from stock_pipeline.lake.parquet_pieces import BROKEN_FILE, one_line
    from stock_pipeline.serving.live_session import LiveSession
    from stock_pipeline.serving.trade_rows import read_rows

    body = path.read_bytes()
    try:
        dates = set(pq.read_table(path, columns=["session_date"], partitioning=None)["session_date"].to_pylist())
    except (*BROKEN_FILE, KeyError) as error:
        raise InputFileError(f"{path}: {one_line(error)}") from error
    if len(dates) != 1 or not isinstance(session_date := dates.pop(), date):
        raise InputFileError(f"{path} is no file of the trades of one session; --session reads one from the lake")
    rows = read_rows(body, session_date)
    session = LiveSession(session_date, lambda _key: rows)
    session.add([(str(path), rows)])
    return session


def _show(rules: "tuple[Rule, ...]", session: "LiveSession", closes: "Mapping[SymbolKey, Decimal]") -> None:
    from stock_pipeline.domain.session import NANOSECONDS
    from stock_pipeline.domain.told_alerts import Series, ToldAlerts
    from stock_pipeline.serving.price_alerts import crossings_of, watched
    from stock_pipeline.wiring import utc_now

    now = utc_now()
    now_ns = int(now.timestamp()) * NANOSECONDS
    minutes = {key: session.minutes(key) for key in session.series}
    found = {
        Series(rule.name, rule.says, key): crossings_of(
            rule, key, session.session_date, minutes.get(key, []), closes.get(key), now_ns
        )
        for rule, key in watched(rules, session.session_date, session.series)
    }
    told = ToldAlerts().with_news(found, now, sends=False).alerts
    print(
        f"in the session {session.session_date}, of {len(session.series):,} symbols, they would have told {len(told)}"
    )
    for alert in told:
        print(f"  {alert.sentence}")
    traded = {key.symbol for key in session.series}
    missing = sorted({symbol for rule in rules for symbol in rule.symbols} - traded)
    if missing:
        print(f"  without a trade in it: {', '.join(missing)}; are they spelt so?")
    for rule in rules:
        if not rule.is_of(session.session_date):
            print(f"  not watched in it: {rule.name}, which has other sessions")
