"""Execute `stock-pipeline ddl` as a whole on Athena, and ask its view the README's queries.

Against an account: `python -m tests.check_ddl` with AWS credentials, BUCKET_NAME and DATABASE_NAME set to an empty
bucket and to a Glue database that does not exist yet; both keep what it writes.
"""

import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from stock_pipeline.aws.athena import Athena
from stock_pipeline.aws.athena_ddl import athena_ddl
from stock_pipeline.domain.conditions import SALE_CONDITIONS
from stock_pipeline.domain.session import session_bounds_ns, session_date_of
from stock_pipeline.domain.trade import COLUMNS, EFFECTIVE_STATUSES, PARTITION_COLUMNS, Trade
from stock_pipeline.settings import Settings
from tests.support.bucket_lake import BucketLake
from tests.support.engines import cut_to_milliseconds, to_milliseconds, to_price
from tests.support.judge import is_judged
from tests.support.lake import winning_trades
from tests.support.random_trades import random_trades

README = Path(__file__).parents[1] / "README.md"

ASKED = date(2026, 1, 18)
"""The day of the README's queries."""

SYMBOL = "AAPL"
"""The symbol of the README's second query."""

OFFICIAL = {condition.code for condition in SALE_CONDITIONS if condition.is_official_print}


def main() -> None:
    environ = {"DATABASE_NAME": "ddl_check", **os.environ}
    environ.setdefault("BUCKET_NAME", environ.get("ATHENA_CHECK_BUCKET", ""))
    settings = Settings.from_env(environ)
    session = boto3.Session(region_name=settings.aws_region)
    output = f"s3://{settings.bucket_name}/athena-results/"
    athena = Athena(
        session.client("athena"), settings.athena_workgroup, settings.database_name, time.sleep, output, polls=1_000
    )
    check(BucketLake(session, settings.bucket_name, settings.database_name), athena)


class Reading(NamedTuple):
    """How the engine that judges reads an average of prices, and a time."""

    average: Callable[[Any], Decimal]
    time: Callable[[datetime], datetime]

    @classmethod
    def of_this_engine(cls) -> "Reading":
        return cls(
            average=Decimal if is_judged("rounding of averages") else rounded,
            time=to_milliseconds if is_judged("rounding of times") else cut_to_milliseconds,
        )


def check(lake: BucketLake, athena: Athena) -> None:
    statements = re.split(r";\n", athena_ddl(lake.catalog).rstrip())
    print("Execute the generated DDL, twice")
    for statement in statements * 2:
        # the editor's context is a database that is there
        replace(athena, database="default").run(statement.removesuffix(";"))
    print(f"  ✓ {len(statements)} statements")
    check_descriptions(lake)

    rows = trades_of(ASKED, seed=21)
    lake.put_raw(rows, "1")
    lake.put_raw(rows[::-3], "2")
    print(
        "Ask the README's queries: of a session that is not published, and of the same one published, with more trades"
    )
    reading = Reading.of_this_engine()
    check_queries(athena, rows, reading)
    rows = [*rows, *trades_of(ASKED, seed=22)]
    lake.publish(ASKED, winning_trades(rows), "00000000000000ab")
    check_queries(athena, rows, reading)


def check_descriptions(lake: BucketLake) -> None:
    """Compare the texts that the DDL brought into the catalog with the domain's."""
    wanted = {column.name: column.description for column in (*COLUMNS, *PARTITION_COLUMNS)}
    for name in ("raw_trades", "unpublished_trades", "trades"):
        table = lake.client("glue").get_table(DatabaseName=lake.database, Name=name)["Table"]
        columns = (*table["StorageDescriptor"]["Columns"], *table["PartitionKeys"])
        found = {column["Name"]: column["Comment"] for column in columns}
        if found != wanted:
            sys.exit(f"{name}: comments are {set(found.items()) ^ set(wanted.items())}")
    print("  ✓ the catalog has every comment as it was written")


def check_queries(athena: Athena, rows: Sequence[Trade], reading: Reading) -> None:
    counted = [
        one for one in winning_trades(rows) if one.status in EFFECTIVE_STATUSES and not OFFICIAL & set(one.conditions)
    ]
    average, history, top = readme_queries()
    prices = [(symbol, reading.average(price)) for symbol, price in athena.query(average).rows]
    compare(average, sorted(prices), sorted(average_prices(counted)))
    found = athena.query(history).rows
    compare(history, [row[0] for row in found], sorted(row[0] for row in found))
    compare(history, sorted(found), sorted(price_history(counted, reading)))
    compare(top, athena.query(top).rows, top_by_volume(counted))


def compare(query: str, found: Sequence[Any], wanted: Sequence[Any]) -> None:
    if found != wanted:
        different = [pair for pair in zip(found, wanted, strict=False) if pair[0] != pair[1]][:3]
        sys.exit(f"{query}: {len(found)} rows, {len(wanted)} wanted; for example {different}")
    print(f"  ✓ {len(found):,} rows: {query}")


def readme_queries() -> list[str]:
    block = re.search(r"```sql\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    return [line.removesuffix(";") for line in block[1].splitlines()]


def average_prices(rows: Sequence[Trade]) -> list[tuple[Any, ...]]:
    prices: dict[str, list[Decimal]] = defaultdict(list)
    for one in rows:
        prices[one.symbol].append(one.price)
    return [(symbol, to_price(sum(of_symbol, Decimal()) / len(of_symbol))) for symbol, of_symbol in prices.items()]


def price_history(rows: Sequence[Trade], reading: Reading) -> list[tuple[Any, ...]]:
    return [(reading.time(in_microseconds(one.event_time_ns)), one.price) for one in rows if one.symbol == SYMBOL]


def top_by_volume(rows: Sequence[Trade]) -> list[tuple[Any, ...]]:
    volumes: dict[str, int] = defaultdict(int)
    for one in rows:
        volumes[one.symbol] += one.volume or 0
    return sorted(volumes.items(), key=lambda pair: -pair[1])[:5]


def rounded(average: float) -> Decimal:
    return to_price(Decimal(average))


def in_microseconds(event_time_ns: int) -> datetime:
    """Return the time as files have it."""
    return datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(microseconds=event_time_ns // 1000)


def trades_of(session_date: date, seed: int) -> list[Trade]:
    """Return random trades of seven symbols, moved to the session."""
    rows = random_trades(900, seed)
    moved_ns = session_bounds_ns(session_date)[0] - session_bounds_ns(session_date_of(rows[0].event_time_ns))[0]
    return [
        replace(
            one,
            symbol=SYMBOL if one.sequence % 7 == 0 else f"S{one.sequence % 7}",
            event_time_ns=one.event_time_ns + moved_ns,
            ingest_time_ns=one.ingest_time_ns + moved_ns,
        )
        for one in rows
    ]


if __name__ == "__main__":
    main()
