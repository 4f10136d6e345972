"""Count what queries of the public view list and read in S3, with raw files of published sessions still there.

A part of `make check-engines`, which runs it in small. By hand, with as many sessions as wanted:
`athena-trino/run --keep-dir DIR -- python -m tests.check_scale DIR/aws.log --published 500`. It needs the log of the
emulated S3, so it does not run against an account.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import boto3

from stock_pipeline.aws.athena import Athena
from stock_pipeline.aws.athena_ddl import VIEW, view_query
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.lake_layout import (
    CURATED_PREFIX,
    RAW_PREFIX,
    VersionPrefix,
    raw_key,
    raw_partition_prefix,
    session_date_of_key,
)
from stock_pipeline.domain.session import trading_days
from stock_pipeline.domain.trade import Trade
from stock_pipeline.domain.unpublished_plan import READERS_GRACE
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.support.bucket_lake import BucketLake
from tests.support.trades import trade

FIRST = date(2018, 1, 2)
UNPUBLISHED = 3
RAW_FILES = 10
"""Of each session that is looked at."""

TRADES = 20
DAY_NS = 86_400 * 10**9

_REQUEST = re.compile(r"(GET|HEAD) (/\S*) HTTP")


class Requests(NamedTuple):
    """What one query asked S3 for: prefixes that it listed, and objects that it read."""

    raw_lists: list[str]
    curated_lists: list[str]
    raw_files: set[str]
    curated_files: set[str]


@dataclass(frozen=True)
class Scale:
    settings: Settings
    lake: BucketLake
    log: Path

    def ask(self, sql: str) -> tuple[list[tuple[Any, ...]], Requests]:
        """Run one query and print a row of the table."""
        start, began = self.log.stat().st_size, time.monotonic()
        result = self.athena.query(sql)
        seconds = time.monotonic() - began
        with self.log.open() as log:
            log.seek(start)
            requests = requests_of(log, self.lake.bucket)
        counts = [len(each) for each in requests]
        print(f"| {sql} | {' | '.join(map(str, counts))} | {seconds:.0f} |")
        return result.rows, requests

    @property
    def athena(self) -> Athena:
        client = self.lake.client("athena")
        output = f"s3://{self.lake.bucket}/athena-results/"
        return Athena(client, self.settings.athena_workgroup, self.lake.database, time.sleep, output, polls=1_000)


def requests_of(log: Iterable[str], bucket: str) -> Requests:
    found = Requests([], [], set(), set())
    for line in log:
        match = _REQUEST.search(line)
        if match is None:
            continue
        address = urlsplit(match[2])
        listed = parse_qs(address.query).get("prefix", [""])[0]
        read = unquote(address.path).removeprefix(f"/{bucket}/")
        for prefix, lists, files in (
            (RAW_PREFIX, found.raw_lists, found.raw_files),
            (CURATED_PREFIX, found.curated_lists, found.curated_files),
        ):
            if listed.startswith(prefix):
                lists.append(listed)
            elif read.startswith(prefix):
                files.add(read)
    return found


def trades_of(day: date) -> list[Trade]:
    shift = (day - FIRST).days
    rows = [trade(number) for number in range(TRADES)]
    return [
        replace(row, event_time_ns=row.event_time_ns + shift * DAY_NS, event_id=f"{row.event_id}:{day}") for row in rows
    ]


def fill(lake: BucketLake, published: list[date], unpublished: list[date]) -> None:
    """Publish sessions, keep their raw files, and let others have raw files only."""
    lake.catalog.create()
    store = ObjectStore(lake.client("s3"), lake.bucket)
    looked_at = {published[0], *unpublished}
    places = {day: VersionPrefix(day, f"{number:016x}") for number, day in enumerate(published)}

    def put(key: str, rows: list[Trade]) -> None:
        store.put(key, parquet_bytes(table_of_trades(rows)))

    def put_session(day: date) -> None:
        rows = trades_of(day)
        for file in range(RAW_FILES if day in looked_at else 1):
            put(raw_key(day, "shardId-000000000000", str(file), str(file), "0" * 16), rows[file // 2 :])
        if day in places:
            put(places[day].data_key, rows)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put_session, (*published, *unpublished)))
    lake.refresh()
    lake.catalog.register({day: store.uri(place.prefix) for day, place in places.items()})


def of(day: date) -> str:
    return f"year = {day.year} AND month = {day.month} AND day = {day.day}"


def check(scale: Scale, sessions: int) -> None:
    """Ask the view before the published sessions are dropped, and after."""
    days = list(islice(trading_days(FIRST, date(2030, 1, 1)), sessions + UNPUBLISHED))
    published, unpublished = days[:sessions], days[sessions:]
    print(f"Publish {len(published)} sessions of {len(days)}, {days[0]} to {days[-1]}")
    fill(scale.lake, published, unpublished)
    scale.athena.query(f"CREATE OR REPLACE VIEW {VIEW} AS {view_query(scale.lake.database)}")
    print("| query | LIST raw | LIST curated | files read raw | files read curated | seconds |")
    every = f"SELECT count(*), count(DISTINCT event_id) FROM {VIEW}"
    rows, _ = scale.ask(f"{every} WHERE {of(published[0])}")
    expect(rows == [(TRADES, TRADES)], f"registered and published, a session shows {rows}")

    scale.lake.refresh(datetime.now(UTC) + READERS_GRACE)
    registered = scale.lake.catalog.unpublished_sessions()
    expect(registered == set(unpublished), f"registered as unpublished are {len(registered)} sessions")
    top = f"SELECT symbol, SUM(volume) AS shares FROM {VIEW} WHERE {{}} GROUP BY symbol ORDER BY 2 DESC LIMIT 5"
    average = f"SELECT symbol, AVG(price) FROM {VIEW} WHERE {{}} GROUP BY symbol"
    _, asked = scale.ask(average.format(of(published[0])))
    expect(not asked.raw_lists and not asked.raw_files, "a published day lists or reads raw files")
    expect(len(asked.curated_files) == 1, f"a published day reads {len(asked.curated_files)} data files")
    _, asked = scale.ask(average.format(of(unpublished[0])))
    expect(
        set(asked.raw_lists) == {raw_partition_prefix(unpublished[0])}, "an unpublished day lists raw files of others"
    )
    expect(len(asked.raw_files) == RAW_FILES, f"an unpublished day reads {len(asked.raw_files)} raw files")
    expect(not asked.curated_lists, "an unpublished day lists published versions")
    for year in sorted({day.year for day in days}):
        wanted = [{day for day in part if day.year == year} for part in (published, unpublished)]
        _, asked = scale.ask(top.format(f"year = {year}"))
        expect(set(map(session_date_of_key, asked.curated_files)) == wanted[0], f"{year}: other versions are read")
        expect(
            len(asked.curated_lists) <= 2 * len(wanted[0]), f"{year}: {len(asked.curated_lists)} listings of versions"
        )
        expect(set(asked.raw_lists) == set(map(raw_partition_prefix, wanted[1])), f"{year}: other raw files are listed")
        expect(len(asked.raw_files) == RAW_FILES * len(wanted[1]), f"{year}: {len(asked.raw_files)} raw files are read")
    rows, asked = scale.ask(every)
    expect(rows == [(TRADES * len(days), TRADES * len(days))], f"all sessions show {rows}")
    expect(
        set(asked.raw_lists) == set(map(raw_partition_prefix, unpublished)),
        "without a filter raw files of published sessions are listed",
    )


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(otherwise)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, help="log of the emulated S3")
    parser.add_argument("--published", type=int, default=12, help="number of published sessions; default: 12")
    options = parser.parse_args()
    environ = {"DATABASE_NAME": "scale_check", **os.environ}
    environ.setdefault("BUCKET_NAME", environ.get("ATHENA_CHECK_BUCKET", ""))
    settings = Settings.from_env(environ)
    lake = BucketLake(boto3.Session(region_name=settings.aws_region), settings.bucket_name, settings.database_name)
    check(Scale(settings, lake, options.log), options.published)


if __name__ == "__main__":
    main()
