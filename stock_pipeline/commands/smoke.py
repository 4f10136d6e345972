"""`stock-pipeline smoke`: follow one marked trade through a deployment."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from stock_pipeline.commands.environment import BUCKET, QUEUE, STREAM, TABLE, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, number

if TYPE_CHECKING:
    from stock_pipeline.domain.trade import Trade
    from stock_pipeline.streaming.smoke import Seen, Stop
    from stock_pipeline.wiring import Wiring


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "smoke",
        summary="follow one marked trade through a deployment",
        description="Publishes a trade of the feed `smoke` (a notice: it counts in no bar) and waits until it is in "
        "S3, in DynamoDB and in the answer of a query on raw_trades. Exits with 1 and the place where it "
        "stopped if the time is up.",
        example="stock-pipeline smoke --env dev --timeout 300",
    )
    add_env(parser)
    parser.add_argument(
        "--timeout", type=number(0), default=180, metavar="SECONDS", help="for the whole way; default: 180"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import sys
    import time
    import uuid

    from stock_pipeline.streaming.smoke import Smoke
    from stock_pipeline.wiring import Wiring

    settings = settings_of(options, BUCKET, STREAM, TABLE, QUEUE)
    with Wiring.open(settings) as wiring:
        smoke = Smoke(publisher(wiring), stops(wiring), time.time_ns, time.sleep, _tell)
        verdict = smoke.run(uuid.uuid4().hex, options.timeout)
    if verdict.missing is None:
        print(f"{options.env or settings.environment} works: {verdict.trade.event_id} went all the way")
        return 0
    print(
        f"stock-pipeline: {verdict.trade.event_id} is not in {verdict.missing.place} after {options.timeout:g} s: "
        f"{verdict.missing.advice}",
        file=sys.stderr,
    )
    return 1


def _tell(seen: "Seen") -> None:
    print(f"{seen.seconds:6.1f} s  in {seen.place}")


def publisher(wiring: "Wiring") -> Callable[["Trade"], None]:
    from stock_pipeline.errors import RetryableError
    from stock_pipeline.streaming.record_packing import pack, partition_key
    from stock_pipeline.streaming.trade_json import encode_trade

    def publish(trade: "Trade") -> None:
        line = (partition_key(trade.symbol, wiring.settings.partition_buckets), encode_trade(trade))
        (error,) = wiring.stream.put(list(pack([line])))
        if error is not None:
            raise RetryableError(f"the stream {wiring.settings.stream_name} refused the trade ({error}): try again")

    return publish


def stops(wiring: "Wiring") -> list["Stop"]:
    """Return the places in the processor's order."""
    from stock_pipeline.streaming.smoke import Stop

    settings = wiring.settings
    function = f"{settings.project_name}-{settings.environment}-processor"
    return [
        Stop("S3", in_lake(wiring), f"look at the logs of {function}, and at the dead-letter queue"),
        Stop("DynamoDB", in_state(wiring), f"look at the logs of {function} for refused writes"),
        Stop("the catalog", in_catalog(wiring), f"query raw_trades in {settings.database_name} by hand"),
    ]


def in_lake(wiring: "Wiring") -> Callable[["Trade"], bool]:
    """Return a check that reads each new raw file of the trade's session once."""
    import io
    import time

    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from stock_pipeline.domain.feed_session import feed_session_date
    from stock_pipeline.domain.lake_layout import raw_partition_prefix
    from stock_pipeline.domain.session import session_date_of

    lake = wiring.objects
    before = {entry.key for entry in lake.list(raw_partition_prefix(session_date_of(time.time_ns())))}

    def has_arrived(trade: "Trade") -> bool:
        for entry in list(lake.list(raw_partition_prefix(feed_session_date(trade.event_time_ns, trade.feed)))):
            if entry.key in before:
                continue
            ids = pq.read_table(io.BytesIO(lake.get(entry.key)), columns=["event_id"])["event_id"]
            if pc.any(pc.equal(ids, trade.event_id)).as_py():
                return True
            before.add(entry.key)
        return False

    return has_arrived


def in_state(wiring: "Wiring") -> Callable[["Trade"], bool]:
    from stock_pipeline.domain.symbol_state import SymbolKey

    def has_arrived(trade: "Trade") -> bool:
        key = SymbolKey(trade.symbol, trade.feed)
        stored = wiring.state_table.read([key]).get(key)
        return stored is not None and any(row.event_id == trade.event_id for row in stored.state.window)

    return has_arrived


def in_catalog(wiring: "Wiring") -> Callable[["Trade"], bool]:
    """Return a check by SQL, on Athena or DuckDB."""
    from stock_pipeline.domain.feed_session import feed_session_date

    def has_arrived(trade: "Trade") -> bool:
        day = feed_session_date(trade.event_time_ns, trade.feed)
        sql = (
            f"SELECT count(*) FROM raw_trades WHERE year = {day.year} AND month = {day.month} AND day = {day.day} "
            f"AND event_id = '{trade.event_id}'"
        )
        return _count(wiring, sql) >= 1

    return has_arrived


def _count(wiring: "Wiring", sql: str) -> int:
    settings = wiring.settings
    if settings.dbt_target == "athena":
        from dataclasses import replace

        from stock_pipeline.aws.athena import POLLS

        return int(replace(wiring.athena, polls=POLLS).query(sql).rows[0][0])
    import boto3

    from stock_pipeline.local.duckdb.catalog import connect_lake
    from stock_pipeline.local.duckdb.connection import connected

    with connected() as connection:
        session = boto3.Session(region_name=settings.aws_region)
        connect_lake(connection, session, settings.bucket_name, settings.database_name)
        row = connection.execute(sql).fetchone()
        return int(row[0]) if row else 0
