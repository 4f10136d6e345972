"""Build the models on Athena and on DuckDB over one lake, and compare every mart: names, types and values.

A part of `make check-engines`. Against an account: `python -m tests.check_engines` with AWS credentials, BUCKET_NAME
and DATABASE_NAME set to a bucket and to a Glue database that does not exist yet; both keep what it writes.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import boto3

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.corporate_action import ActionKind, CorporateAction, News
from stock_pipeline.domain.session import trading_days
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.corporate_actions import CorporateActionLog
from stock_pipeline.local.demo.example_queries import example_queries
from tests.support.bucket_lake import BucketLake
from tests.support.engines import ALIKE_IN_QUERIES, Engines
from tests.support.random_trades import DAY_NS, random_trades
from tests.support.sample_session import SAMPLE_DATE, sample_trades
from tests.support.steps import step
from tests.support.trades import NOON, trade

MARTS = (
    "minute_bars",
    "session_part_bars",
    "hourly_bars",
    "five_minute_bars",
    "daily_bars",
    "daily_bars_adjusted",
    "daily_moving_averages",
    "top_volume",
    "unknown_conditions",
    "stock_market_data",
)

SOME_ROWS = {"stock_market_data": "where symbol <> 'XXX' or mod(sequence, 20) = 0"}
"""Rows come a thousand at a time, so every twentieth of the recorded session is enough."""

OF_DAY = {"symbol": "XXX", "year": 2018, "month": 1, "day": 2}
"""Variables of the analyses; every command has them, because other variables make dbt parse everything again."""

HALF_MILLISECONDS_NS = (499_999, 500_000, 500_999, 501_000, 1_500_000, 2_499_999, 2_500_000, 59_999_500_000)
"""Where rounding half up differs from cutting, and from rounding half to even."""

SESSIONS = 210
"""More than Athena writes partitions in one statement (100), and than the longest average takes (200)."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ["DUCKDB_PATH"] = str(Path(name) / "local.duckdb")
        check(Engines.of(os.environ, Path(name)))


def check(engines: Engines) -> None:
    settings = engines.settings
    lake = BucketLake(boto3.Session(region_name=settings.aws_region), settings.bucket_name, settings.database_name)
    if lake.database_exists():
        sys.exit(f"database {settings.database_name} exists already: set DATABASE_NAME to one that does not")
    with step("put a recorded and a random session into the lake"):
        fill(lake)
    with step("dbt build: every node, with data tests and unit tests"):
        dbt(engines, "build")
    compare(engines)
    with step("dbt build over what is there"):
        dbt(engines, "build", "--exclude-resource-type", "test", "unit_test")
    compare(engines)
    with step("ask the example queries, and the analyses that dbt compiles"):
        ask_example_queries(engines)
    one_session(engines, lake)
    for day in (date(2018, 7, 5), date(2018, 7, 5)):  # a new session, and one that the marts have
        overtaken(engines, lake, day, "alter table", MARTS)
    backfill(engines, lake)


def fill(lake: BucketLake) -> None:
    lake.catalog.create()
    rows = random_trades(600, seed=11)
    lake.put_raw(sample_trades(), "1")
    lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
    lake.put_raw(rows, "2")
    lake.put_raw(rows[::-2], "3")
    for batch, (feed, hours) in enumerate((("sip", 5), ("boats", -12), ("overnight_24x", -3), ("crypto", 10)), 5):
        lake.put_raw([of_feed(row, feed, hours) for row in rows[::3]], str(batch))
    lake.put_raw([at_half_a_millisecond(number, ns) for number, ns in enumerate(HALF_MILLISECONDS_NS)], "4")
    older = [moved(one, SAMPLE_DATE, date(2018, 1, 5)) for one in sample_trades()[:300]]
    lake.publish(date(2018, 1, 5), older, "00000000000000ac", lacks=["volume_fraction"])
    beside = [moved(one, SAMPLE_DATE, date(2018, 1, 3)) for one in sample_trades()[300:400]]
    lake.put_raw(beside, "5", lacks=["volume_fraction"])
    CorporateActionLog(ObjectStore(lake.client("s3"), lake.bucket)).append(corporate_actions())


def of_feed(row: Trade, feed: str, hours: int) -> Trade:
    """Return a trade of other hours and feed; every second one is marked as of extended hours."""
    conditions = f"{row.conditions}T" if row.sequence % 2 else row.conditions
    later = row.event_time_ns + hours * 3_600 * 10**9
    return replace(row, feed=feed, event_id=f"{feed}:{row.event_id}", event_time_ns=later, conditions=conditions)


def corporate_actions() -> list[News]:
    """Return actions before, between and after the sessions, one of them withdrawn, and a chain of symbols."""
    learned, day = datetime(2018, 1, 1, 12, tzinfo=UTC), date(2018, 1, 2)
    actions = [
        action("split", "XXX", date(2018, 7, 5), shares_before=1, shares_after=3),
        action("stock_dividend", "XXX", date(2019, 6, 3), shares_before=1, shares_after="1.05"),
        *(action("cash_dividend", "XXX", date(2019, month, 11), cash_amount="0.333333333") for month in range(1, 13)),
        action("cash_dividend", "XXX", date(2020, 1, 7), cash_amount=100_000),
        action("split", "S0", date(2018, 1, 4), shares_before=7, shares_after=1),
        action("symbol_change", "S1", date(2018, 1, 4), new_symbol="S1.A"),
        action("symbol_change", "S1.A", date(2018, 2, 1), new_symbol="S1-B"),
        action("split", "S1", date(2018, 1, 4), shares_before=1, shares_after=2),
    ]
    withdrawn = action("split", "XXX", day, shares_before=1, shares_after=100)
    news = [News(each, "alpaca", learned, False) for each in (*actions, withdrawn)]
    return [*news, News(withdrawn, "alpaca", learned + timedelta(hours=1), True)]


def action(kind: str, symbol: str, day: date, **values: str | int) -> CorporateAction:
    exact: dict[str, Any] = {name: value if name == "new_symbol" else Decimal(value) for name, value in values.items()}
    return CorporateAction(ActionKind(kind), symbol, day, day, **exact)


def at_half_a_millisecond(number: int, nanoseconds: int) -> Trade:
    instant = NOON + DAY_NS + nanoseconds
    return trade(number, event_id=f"half:{number}", symbol="HALF", event_time_ns=instant, ingest_time_ns=instant)


def dbt(engines: Engines, *arguments: str) -> None:
    engines.dbt(*arguments, "--vars", json.dumps(OF_DAY))


def compare(engines: Engines, marts: Sequence[str] = MARTS) -> None:
    """Compare all columns of the marts, declared types and values."""
    with step(f"compare {len(marts)} marts"):
        questions = {}
        for mart in marts:
            sql = f"select {', '.join(engines.columns_of(mart))} from {mart} {SOME_ROWS.get(mart, '')}"
            questions[mart] = sql, sql
        engines.same(questions)


def ask_example_queries(engines: Engines) -> None:
    dbt(engines, "compile", "--select", "path:analyses")
    questions = {query.title: (query.sql, query.sql) for query in example_queries(SAMPLE_DATE, "XXX")}
    for path in sorted((engines.folder / "athena").glob("compiled/*/analyses/*.sql")):
        local = engines.folder / "local" / path.relative_to(engines.folder / "athena")
        questions[path.stem] = path.read_text(), local.read_text()
    engines.same(questions, ALIKE_IN_QUERIES)


def one_session(engines: Engines, lake: BucketLake) -> None:
    """A late session, a session that changes, and one whose trades vanish: each alone."""
    late, changed = date(2018, 7, 3), SAMPLE_DATE
    shifted = [moved(one, SAMPLE_DATE, late) for one in sample_trades()[5_000:6_000]]
    others = f"select * from daily_bars where session_date <> date '{late}' order by symbol, feed, session_date"
    before = engines.athena.query(others).rows
    for what, day, trades, version in (
        ("late", late, shifted, "00000000000000ba"),
        ("changed", changed, sample_trades()[:2_000], "00000000000000bb"),
        ("emptied", late, [], "00000000000000bc"),
    ):
        lake.publish(day, trades, version)
        with step(f"dbt run: one session, {what}"):
            build_sessions(engines, day, day)
        compare(engines)
        if what == "late" and before != engines.athena.query(others).rows:
            sys.exit("building one session changed the rows of another")
    if engines.athena.query(f"select * from daily_bars where session_date = date '{late}'").rows:
        sys.exit(f"{late} has no trades any more, and still a daily bar on Athena")


def overtaken(engines: Engines, lake: BucketLake, day: date, statement: str, marts: Sequence[str]) -> None:
    """Let a run come to its statements of this form only after another run built newer trades of the same session."""
    trades = [moved(one, SAMPLE_DATE, day) for one in sample_trades()[2_000:4_000]]
    lake.publish(day, trades[:1_000], "00000000000000ca")

    def newer() -> None:
        lake.publish(day, trades, "00000000000000cb")
        build_sessions(engines, day, day)

    with step(f"dbt run: {day}, overtaken by another run of it before `{statement}`"):
        engines.dbt_overtaken(statement, newer, *session_run(day, day))
    compare(engines, marts)


def backfill(engines: Engines, lake: BucketLake) -> None:
    sessions = list(islice(trading_days(date(2019, 1, 1), date(2020, 12, 31)), SESSIONS))
    # from the morning: half days have no prices in the afternoon
    trades = [one for one in sample_trades()[2_000:2_100] if one.conditions in ("", "F")][:3]
    with step(f"publish {len(sessions)} sessions"):
        for number, day in enumerate(sessions):
            rows = [replace(moved(one, SAMPLE_DATE, day), price=one.price + number) for one in trades]
            lake.publish(day, rows, f"{number:016x}")
    with step(f"dbt run: {sessions[0]} to {sessions[-1]} at once"):
        build_sessions(engines, sessions[0], sessions[-1])
    compare(engines)
    for mart in ("daily_bars", "daily_moving_averages"):
        ((found,),) = engines.athena.query(f"select count(*) from {mart} where year in (2019, 2020)").rows
        if found != len(sessions):
            sys.exit(f"{len(sessions)} sessions were to be built, {found} are in {mart} on Athena")
    ((longest,),) = engines.athena.query("select count(sma_200) from daily_moving_averages").rows
    if not longest:
        sys.exit("the longest average was never compared: it needs more sessions")


def build_sessions(engines: Engines, first: date, last: date) -> None:
    """Build the session tables and what is made of them; the data tests have run with the full build."""
    engines.dbt(*session_run(first, last))


def session_run(first: date, last: date) -> list[str]:
    window = ["--event-time-start", first.isoformat(), "--event-time-end", (last + timedelta(days=1)).isoformat()]
    return ["run", "--select", "config.materialized:session_table+", *window, "--vars", json.dumps(OF_DAY)]


def moved(trade: Trade, old: date, new: date) -> Trade:
    """Return the trade on another date, with a new id. Both dates are standard time, or this is an hour off."""
    days = new.toordinal() - old.toordinal()
    return replace(
        trade, event_time_ns=trade.event_time_ns + days * 86_400 * 10**9, event_id=f"{trade.event_id}:{new:%Y%m%d}"
    )


if __name__ == "__main__":
    main()
