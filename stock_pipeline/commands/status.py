"""`stock-pipeline status`: show how the pipeline is doing."""

import argparse
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from stock_pipeline.commands.environment import BUCKET, QUEUE, TABLE, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command

if TYPE_CHECKING:
    from stock_pipeline.aws.object_store import ObjectStore
    from stock_pipeline.domain.compaction_plan import InputFile
    from stock_pipeline.domain.freshness import DueSession, Finding
    from stock_pipeline.lake.session_failures import SessionFailures
    from stock_pipeline.settings import Settings
    from stock_pipeline.wiring import Wiring

SESSIONS_LOOKED_AT = 5
QUARANTINE_FILES = 200
"""Most files read of today's, the newest first by name."""


class Backlog(NamedTuple):
    """Raw files of a session that its published version lacks."""

    session_date: date
    files: int
    size: int


class Status(NamedTuple):
    """Figures of the screen.

    published: the last published session.
    broken: sessions and files of rejected lines that can't be looked at, with the reason.
    stale: stale assets, with the reason.
    """

    lag: "Finding"
    newest: datetime | None
    waiting: int
    hidden: int
    rejected: dict[str, int]
    quarantine_files: int
    published: date | None
    backlog: tuple[Backlog, ...]
    broken: str
    stale: dict[str, str]


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "status",
        summary="show on one screen how the pipeline is doing",
        description="Shows the lag of the stream, the depth of the dead-letter queue, today's rejected lines by "
        "reason, the last published session, raw files that wait for compaction, and what is stale on the "
        "exchange's calendar. Exits with 1 if something is stale or broken.",
        example="stock-pipeline status --env dev",
    )
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.wiring import Wiring, utc_now

    with Wiring.open(settings_of(options, BUCKET, TABLE, QUEUE)) as wiring:
        status = read_status(wiring, utc_now())
        name = options.env or ("local" if wiring.settings.dbt_target == "local" else wiring.settings.environment)
    print("\n".join(screen(name, status)))
    return 1 if status.stale or status.broken else 0


def read_status(wiring: "Wiring", now: datetime) -> Status:
    from stock_pipeline.domain.freshness import judge_stream, newest_event
    from stock_pipeline.domain.session import session_date_of
    from stock_pipeline.lake.session_failures import SessionFailures
    from stock_pipeline.lake.session_freshness import judge_published, session_due
    from stock_pipeline.providers.selection import feed_delay_seconds

    delay = feed_delay_seconds(wiring.settings.feed)
    now_ns = int(now.timestamp() * 1e9)
    newest_ns = newest_event(wiring.state_heartbeat.event_times_ns(), now_ns)
    depth = wiring.dead_letters.depth()
    failures = SessionFailures()
    rejected, files = _rejected_today(wiring.objects, now.date(), failures)
    due = session_due(wiring.objects, now, wiring.settings.feed)
    lag = judge_stream(newest_ns, now, delay, wiring.settings.feed)
    backlog = tuple(_backlogs(wiring, session_date_of(now_ns), failures))
    judged = {
        "trades": judge_published(wiring.compactor(), due, wiring.source_read_to_ns(), delay),
        "daily_bars": _judge_bars(wiring.settings, due),
        "realtime_state": lag,
    }
    return Status(
        lag=lag,
        newest=datetime.fromtimestamp(newest_ns / 1e9, UTC) if newest_ns is not None else None,
        waiting=depth.waiting,
        hidden=depth.hidden,
        rejected=rejected,
        quarantine_files=files,
        published=max(wiring.catalog.published_locations(), default=None),
        backlog=backlog,
        broken=str(failures),
        stale={name: finding.why for name, finding in judged.items() if not finding.fresh},
    )


def _judge_bars(settings: "Settings", due: "DueSession | None") -> "Finding":
    from stock_pipeline.commands.query import ask
    from stock_pipeline.domain.freshness import Finding, judge_bars
    from stock_pipeline.errors import PermanentError, RetryableError

    if due is None:
        return judge_bars(due, 0)
    year, month, number = due.session_date.timetuple()[:3]
    day = f"year = {year} AND month = {month} AND day = {number}"
    notes: list[str] = []
    try:
        ((bars,),) = ask(settings, f"SELECT count(*) FROM daily_bars WHERE {day}", notes.append).rows
    except PermanentError as error:
        # the first run makes the table
        return judge_bars(due, 0) if due.is_first else Finding(False, str(error).partition("\n")[0])
    except RetryableError as error:
        # on a laptop dbt locks the file while it builds
        return Finding(settings.dbt_target == "local", str(error))
    if not bars and any(note.startswith("dbt is writing") for note in notes):
        return Finding(True, "dbt is writing")
    return judge_bars(due, int(bars))


def _rejected_today(lake: "ObjectStore", today: date, failures: "SessionFailures") -> tuple[dict[str, int], int]:
    """Count today's (UTC) rejected lines by reason, and their files."""
    import io

    import pyarrow.parquet as pq

    from stock_pipeline.domain.lake_layout import QUARANTINE_PREFIX, partition_path

    keys = [listed.key for listed in lake.list(QUARANTINE_PREFIX + partition_path(today))]
    counts: Counter[str] = Counter()
    for key in sorted(keys, reverse=True)[:QUARANTINE_FILES]:
        with failures.of(key):
            counts.update(pq.read_table(io.BytesIO(lake.get(key)), columns=["reason"])["reason"].to_pylist())
    return dict(sorted(counts.items())), len(keys)


def _backlogs(wiring: "Wiring", today: date, failures: "SessionFailures") -> Iterator[Backlog]:
    """Yield the backlogs of the last few sessions. Those of a source's wrong clock lie behind today."""
    from stock_pipeline.domain.lake_layout import RAW_PREFIX, session_date_of_key, session_name

    compactor = wiring.compactor()
    sessions: list[date] = []
    for folder in wiring.objects.folders(RAW_PREFIX, depth=3):
        with failures.of(session_name(folder)):
            sessions.append(session_date_of_key(folder))
    for session_date in [day for day in sorted(sessions) if day <= today][-SESSIONS_LOOKED_AT:]:
        files: tuple[InputFile, ...] = ()
        with failures.of(session_date):
            files = compactor.plan(session_date).new_files
        if files:
            yield Backlog(session_date, len(files), sum(file.size for file in files))


def screen(name: str, status: Status) -> list[str]:
    """Return the screen's lines."""
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
        ("broken", [status.broken or "none"]),
        ("stale", stale),
    ]
    lines = [f"stock-pipeline {name}"]
    for title, values in rows:
        lines += [f"  {title if number == 0 else '':<16}{value}" for number, value in enumerate(values)]
    return lines
