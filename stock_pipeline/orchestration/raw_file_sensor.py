"""Sensors that request a run for each past date with raw files that its published version lacks.

Such files are late, or a failed run left them; the current session has schedules. A tick looks at recent dates and at
reopened ones, so its cost does not grow with the lake. The nightly sweep reopens what else has late files. A date
without trading, or before the first session, has no partition: a job of its own compacts its trades. Both sensors
observe `raw_trades`. The first one also registers unpublished sessions.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from stock_pipeline.domain.compaction_plan import CompactionPlan, InputFile
from stock_pipeline.domain.feed_session import is_feed_session
from stock_pipeline.domain.lake_layout import raw_month_prefix, raw_partition_prefix
from stock_pipeline.domain.session import NANOSECONDS, session_date_of
from stock_pipeline.lake.reopened_sessions import reopened_since
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.orchestration.alerts import SESSIONS, AlertResource
from stock_pipeline.orchestration.lake_schedules import CLOSED_DAY_JOB, SESSION_JOB, closed_day_config
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import sensor_status
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import utc_now

RECENT_DAYS = 10
"""Sessions of so many days are looked at in every tick, and reopened ones for so many days after."""

DAYS_AHEAD = 4
"""Sessions of so many days after today may have begun: an overnight feed's on the eve of a long weekend."""

SESSIONS_A_TICK = 20
"""Most reopened sessions of a tick; the others follow."""

FILES_A_TICK = 15_000
"""A tick takes up no other session once it has listed so many files, at 0.1 ms of CPU each. The next one begins with
those left."""

INTERVAL_SECONDS = 300

ATTEMPTS = 3
"""Requests for the same files, one a day, because the cause of a failure may pass."""


class Asked(NamedTuple):
    """A requested run: its set of files, its attempt (1, 2, …) and its day."""

    files_hash: str
    attempt: int
    day: str


@dataclass(frozen=True)
class Position:
    """The sensor's cursor. Sessions are dates as texts.

    after: the oldest reopened session of the last tick; the next tick goes on with older ones.
    left: what the last tick had no time for.
    asked: each session's last requested run.
    broken: sessions that could not be looked at, with the kind of error.
    """

    after: str = ""
    left: tuple[str, ...] = ()
    asked: dict[str, Asked] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"after": self.after, "left": self.left, "asked": self.asked, "broken": self.broken})

    @classmethod
    def from_json(cls, text: str | None) -> "Position":
        document = json.loads(text) if text else {}
        asked = {key: Asked(*asked) for key, asked in document.get("asked", {}).items()}
        return cls(document.get("after", ""), tuple(document.get("left", ())), asked, document.get("broken", {}))


def raw_file_sensor(settings: Settings) -> dg.SensorDefinition:
    return _sensor(
        settings,
        "raw_files",
        SESSION_JOB,
        "Requests a run of each past session with raw files that its published version lacks. Registers unpublished "
        "sessions.",
        closed=False,
    )


def closed_day_sensor(settings: Settings) -> dg.SensorDefinition:
    return _sensor(
        settings,
        "raw_files_of_closed_days",
        CLOSED_DAY_JOB,
        "Requests a compaction of each date that has trades and no partition: without trading, or before the first "
        "session.",
        closed=True,
    )


def _sensor(settings: Settings, name: str, job_name: str, description: str, closed: bool) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description=description,
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource, alerts: AlertResource) -> dg.SensorResult:
        def tell(why: str) -> None:
            alerts.send(context.log, f"{settings.environment}: {name} can't look at sessions", why, SESSIONS)

        return look(lake, Position.from_json(context.cursor), utc_now(), tell, closed)

    return sensor


def look(
    lake: LakeResource, position: Position, now: datetime, tell: Callable[[str], None], closed: bool = False
) -> dg.SensorResult:
    """Make one tick over recent and reopened dates, the newest first. What is broken holds up nothing else.

    tell: called with what is broken, when that is new.
    closed: look at dates without a partition instead of sessions.
    """
    failures = SessionFailures()
    today = session_date_of(int(now.timestamp()) * NANOSECONDS)
    recent = [today - timedelta(days=days) for days in range(1, RECENT_DAYS + 1)]
    begun = [today + timedelta(days=days) for days in range(1, DAYS_AHEAD + 1)]
    reopened: list[date] = []
    with failures.of("reopened sessions"):
        reopened = reopened_since(lake.objects, now - timedelta(days=RECENT_DAYS))
    due = [
        sorted((day for day in days if day < today and _is_partition(day, lake.settings) != closed), reverse=True)
        for days in (recent, reopened)
    ]
    coming, after = _coming(position, *due)
    present = _with_raw_files(lake, {today, *begun, *recent, *coming}, failures)
    if not closed:
        with failures.of("unpublished sessions"):
            lake.unpublished_sessions().refresh(raw_partition_prefix(day) for day in sorted(present))
    due_keys = {day.isoformat() for days in due for day in days}
    asked = {key: last for key, last in position.asked.items() if key in due_keys}
    plans, left = _plans(lake, [day for day in coming if day in present], failures)
    requests: list[dg.RunRequest] = []
    observations: list[dg.AssetObservation] = []
    for day, plan in plans.items():
        key = day.isoformat()
        run = _ask(asked.get(key), files_hash(plan.new_files), today)
        if run is not None:
            asked[key] = run
            requests.append(_request(key, run, plan, closed))
            observations.append(_observation(key, plan, closed))
    broken = {key: kind for key, kind in position.broken.items() if key in due_keys - _keys(coming) | _keys(left)}
    broken |= failures.kinds
    if not broken.items() <= position.broken.items():
        tell(str(failures))
    cursor = Position(after, tuple(day.isoformat() for day in left), asked, broken)
    return dg.SensorResult(run_requests=requests, asset_events=observations, cursor=cursor.to_json())


def _is_partition(day: date, settings: Settings) -> bool:
    return day >= settings.first_session and is_feed_session(day, settings.feed)


def _coming(position: Position, recent: Sequence[date], reopened: Sequence[date]) -> tuple[list[date], str]:
    """Return the sessions to look at: those left over, all recent ones, and the next reopened ones.

    Also returns the next position's `after`.
    """
    left = [day for day in map(date.fromisoformat, position.left) if day in recent or day in reopened]
    others = [day for day in reopened if day not in recent and day not in left]
    older = [day for day in others if day.isoformat() < position.after] or others
    following = older[: max(0, SESSIONS_A_TICK - len(left))]
    after = following[-1].isoformat() if following else position.after
    return [*left, *(day for day in recent if day not in left), *following], after


def _with_raw_files(lake: LakeResource, days: Collection[date], failures: SessionFailures) -> set[date]:
    """Return which days have raw files; also those of a month that can't be listed, because it may."""
    found: set[date] = set()
    for month in {raw_month_prefix(day) for day in days}:
        folders = None
        with failures.of(month):
            folders = set(lake.objects.folders(month, depth=1))
        of_month = {day for day in days if raw_month_prefix(day) == month}
        found |= {day for day in of_month if folders is None or raw_partition_prefix(day) in folders}
    return found


def _plans(
    lake: LakeResource, days: Sequence[date], failures: SessionFailures
) -> tuple[dict[date, CompactionPlan], Sequence[date]]:
    """Return the plans that are not empty, and the days that the tick has no time for."""
    compactor = lake.compactor()
    plans: dict[date, CompactionPlan] = {}
    files = 0
    for number, day in enumerate(days):
        if files >= FILES_A_TICK:
            return plans, days[number:]
        with failures.of(day):
            plan = compactor.plan(day)
            files += len(plan.new_files) + len(plan.base_inputs)
            if not plan.is_empty:
                plans[day] = plan
    return plans, ()


def _keys(days: Iterable[date]) -> set[str]:
    return {day.isoformat() for day in days}


def _ask(last: Asked | None, hashed: str, today: date) -> Asked | None:
    """Return the run to request now, or None if the last request is enough."""
    if last is None or last.files_hash != hashed:
        return Asked(hashed, 1, today.isoformat())
    if last.day < today.isoformat() and last.attempt < ATTEMPTS:
        return Asked(hashed, last.attempt + 1, today.isoformat())
    return None


def files_hash(files: Iterable[InputFile]) -> str:
    """Return a hash of the set of files, which one late file changes."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.key} {file.etag} {file.size}\n".encode())
    return digest.hexdigest()[:16]


def _request(key: str, now: Asked, plan: CompactionPlan, closed: bool) -> dg.RunRequest:
    # Dagster remembers a run key for ever
    run_key = f"raw_files:{key}:{now.files_hash}:{now.attempt}"
    tags = {"reason": "late files" if plan.base else "new files"}
    if closed:
        return dg.RunRequest(run_key=run_key, run_config=closed_day_config(key), tags=tags)
    return dg.RunRequest(run_key=run_key, partition_key=key, tags=tags)


def _observation(key: str, plan: CompactionPlan, closed: bool) -> dg.AssetObservation:
    return dg.AssetObservation(
        "raw_trades",
        partition=None if closed else key,
        metadata={
            "date": key,
            "files_not_in_the_published_version": len(plan.new_files),
            "bytes_not_in_the_published_version": sum(file.size for file in plan.new_files),
            "late": plan.base is not None,
        },
    )
