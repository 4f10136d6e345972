"""`stock-pipeline status`: one screen that says how the pipeline is doing."""

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from stock_pipeline.commands.parsers import Commands
from stock_pipeline.commands.smoke import DEPLOYED, environ_of
from stock_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.clients import Clients
    from stock_pipeline.aws.object_store import ObjectStore
    from stock_pipeline.domain.freshness import Finding
    from stock_pipeline.settings import Settings

LOCAL = DEPLOYED / "local.json"
"""Of `stock-pipeline up`, while it runs."""

SESSIONS_LOOKED_AT = 5
QUARANTINE_FILES = 200
"""So many of today's are opened, the newest first by name; the screen says if there are more."""


class Backlog(NamedTuple):
    """Raw files of a session that its published version lacks."""

    session_date: date
    files: int
    size: int


class Status(NamedTuple):
    """published: the last published session and when. stale: of each asset that is, why."""

    lag: "Finding"
    newest: datetime | None
    waiting: int
    hidden: int
    rejected: dict[str, int]
    quarantine_files: int
    published: date | None
    backlog: tuple[Backlog, ...]
    stale: dict[str, str]


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "status",
        help="show on one screen how the pipeline is doing",
        description="Lag of the stream, depth of the dead-letter queue, today's rejected lines by reason, the last "
        "published session, raw files that wait for compaction, and what is stale on the exchange's calendar. Exits "
        "with 1 if something is stale. Settings: of what `make deploy` left in .stock-pipeline/deployed, of what "
        "`stock-pipeline up` runs (local), else the environment's.",
    )
    parser.add_argument("--env", default="local", help="dev, prod, or local for `stock-pipeline up` (default: local)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from contextlib import closing

    from botocore.exceptions import EndpointConnectionError

    from stock_pipeline.aws.clients import Clients
    from stock_pipeline.commands.environment import take_over
    from stock_pipeline.local.stack import loopback_environment
    from stock_pipeline.settings import Settings

    if options.env == "local" and not LOCAL.exists() and "AWS_ENDPOINT_URL" not in os.environ:
        raise SettingsError("nothing runs here: start it with stock-pipeline up, or say --env dev")
    # a running stack is on loopback: no profile of anybody's must lead away from it
    is_up = options.env == "local" and LOCAL.exists()
    take_over(environ_of(options.env, loopback_environment(os.environ) if is_up else os.environ))
    settings = Settings.from_env(os.environ)
    with closing(Clients(settings.aws_region)) as clients:
        try:
            status = read_status(clients, settings, datetime.now(UTC))
        except EndpointConnectionError as error:
            raise SettingsError(f"{error}; if stock-pipeline up was killed, start it again") from error
    print("\n".join(screen(options.env, status)))
    return 1 if status.stale else 0


def read_status(clients: "Clients", settings: "Settings", now: datetime) -> Status:
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.object_store import ObjectStore
    from stock_pipeline.aws.state_heartbeat import StateHeartbeat
    from stock_pipeline.domain.freshness import expected_session, judge_session, judge_stream, newest_event
    from stock_pipeline.lake.partition_heads import PartitionHeads
    from stock_pipeline.redrive.wiring import dead_letter_queue

    lake = ObjectStore(clients.s3, settings.bucket_name)
    catalog = GlueCatalog(clients.glue, settings.database_name, settings.bucket_name)
    times = StateHeartbeat(clients.dynamodb, settings.state_table_name).event_times_ns()
    newest_ns = newest_event(times, int(now.timestamp() * 1e9))
    depth = dead_letter_queue(clients, settings).depth()
    rejected, files = _rejected_today(lake, now.date())
    expected = expected_session(now)
    head = PartitionHeads(lake).read(expected).head
    lag = judge_stream(newest_ns, now)
    judged = {
        "trades": judge_session(expected, head.catalog_confirmed_at if head.version else None),
        "daily_bars": _judge_bars(settings, expected),
        "realtime_state": lag,
    }
    return Status(
        lag=lag,
        newest=datetime.fromtimestamp(newest_ns / 1e9, UTC) if newest_ns is not None else None,
        waiting=depth.waiting,
        hidden=depth.hidden,
        rejected=rejected,
        quarantine_files=files,
        published=max(catalog.published_locations(), default=None),
        backlog=tuple(_backlog(lake, catalog)),
        stale={name: finding.why for name, finding in judged.items() if not finding.fresh},
    )


def _judge_bars(settings: "Settings", expected: date) -> "Finding":
    from stock_pipeline.commands.query import ask
    from stock_pipeline.domain.freshness import Finding, judge_bars
    from stock_pipeline.errors import PermanentError, RetryableError

    day = f"year = {expected.year} AND month = {expected.month} AND day = {expected.day}"
    try:
        ((bars,),) = ask(settings, f"SELECT count(*) FROM daily_bars WHERE {day}").rows
    except PermanentError as error:
        return Finding(False, str(error).partition("\n")[0])
    except RetryableError as error:
        # on a laptop dbt has the file: they are being built
        return Finding(settings.dbt_target == "local", str(error))
    return judge_bars(expected, int(bars))


def _rejected_today(lake: "ObjectStore", today: date) -> tuple[dict[str, int], int]:
    """Rejected lines that arrived today (UTC) by reason, and how many files hold them."""
    import io

    import pyarrow.parquet as pq

    from stock_pipeline.domain.lake_layout import QUARANTINE_PREFIX, partition_path

    keys = [listed.key for listed in lake.list(QUARANTINE_PREFIX + partition_path(today))]
    counts: Counter[str] = Counter()
    for key in sorted(keys, reverse=True)[:QUARANTINE_FILES]:
        counts.update(pq.read_table(io.BytesIO(lake.get(key)), columns=["reason"])["reason"].to_pylist())
    return dict(sorted(counts.items())), len(keys)


def _backlog(lake: "ObjectStore", catalog: "GlueCatalog") -> Iterator[Backlog]:
    """Of the last few sessions that have raw files."""
    from stock_pipeline.domain.lake_layout import RAW_PREFIX, session_date_of_key
    from stock_pipeline.lake.compaction import Compactor

    compactor = Compactor(lake, catalog, now=lambda: datetime.now(UTC))
    sessions = sorted(session_date_of_key(folder) for folder in lake.folders(RAW_PREFIX, depth=3))
    for session_date in sessions[-SESSIONS_LOOKED_AT:]:
        plan = compactor.plan(session_date)
        if not plan.is_empty:
            yield Backlog(session_date, len(plan.new_files), sum(file.size for file in plan.new_files))


def screen(name: str, status: Status) -> list[str]:
    """The screen, line by line."""
    newest = f", newest trade {status.newest:%Y-%m-%d %H:%M:%S} UTC" if status.newest else ", no trade yet"
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in status.rejected.items()) or "none"
    if status.quarantine_files > QUARANTINE_FILES:
        rejected += f" (in {QUARANTINE_FILES} of {status.quarantine_files:,} files)"
    backlog = [f"{b.session_date}: {b.files:,} files, {b.size / 1e6:,.1f} MB" for b in status.backlog] or ["none"]
    stale = [f"{asset}: {why}" for asset, why in status.stale.items()] or ["none"]
    rows = [
        ("stream", [f"{status.lag.why}{newest}"]),
        ("dead letters", [f"{status.waiting:,} waiting, {status.hidden:,} in hand or resting"]),
        ("rejected today", [rejected]),
        ("last published", [str(status.published or "none")]),
        ("to compact", backlog),
        ("stale", stale),
    ]
    lines = [f"stock-pipeline {name}"]
    for title, values in rows:
        lines += [f"  {title if number == 0 else '':<16}{value}" for number, value in enumerate(values)]
    return lines
