"""Sensors that request a run for each past date with raw files that its published version lacks.

Such files are late, or a failed run left them; the current session has schedules. A date without trading has no
partition, so a job of its own compacts its trades. Both sensors observe `raw_trades`. The first one also registers
unpublished sessions, because it lists the folders anyway.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import dagster as dg

from stock_pipeline.domain.compaction_plan import CompactionPlan, InputFile
from stock_pipeline.domain.lake_layout import session_date_of_key
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.errors import RetryableError
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.orchestration.lake_schedules import CLOSED_DAY_JOB, SESSION_JOB, closed_day_config
from stock_pipeline.orchestration.partitions import session_partitions
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import sensor_status
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import utc_now

SESSIONS_A_TICK = 10
"""A tick takes less than a minute even with tens of thousands of files a session."""

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
    """The sensor's cursor.

    after: the last folder of the last tick; the next tick goes on behind it.
    asked: each session's last requested run.
    """

    after: str = ""
    asked: dict[str, Asked] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"after": self.after, "asked": self.asked})

    @classmethod
    def from_json(cls, text: str | None) -> "Position":
        if not text:
            return cls()
        document = json.loads(text)
        return cls(document["after"], {key: Asked(*asked) for key, asked in document["asked"].items()})


def raw_file_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="raw_files",
        job_name=SESSION_JOB,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Requests a run of each past session with raw files that its published version lacks. "
        "Registers unpublished sessions.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        folders = raw_folders(lake.objects)
        try:
            lake.unpublished_sessions().refresh(folders)
        except RetryableError as error:
            # compaction goes on; garbage collection, which refreshes too, fails and so alarms
            context.log.error("%s", error)
        return look(lake, folders, Position.from_json(context.cursor), _today())

    return sensor


def closed_day_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="raw_files_of_closed_days",
        job_name=CLOSED_DAY_JOB,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Requests a compaction of each date without trading that has trades all the same.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        return look(lake, raw_folders(lake.objects), Position.from_json(context.cursor), _today(), closed=True)

    return sensor


def look(
    lake: LakeResource, every_folder: Iterable[str], position: Position, today: date, closed: bool = False
) -> dg.SensorResult:
    """Make one tick over the next few dates with raw files; after the last date the first follows.

    every_folder: those with raw files, in order.
    closed: look at dates without trading instead of sessions.
    """
    folders = [folder for folder in every_folder if _is_due(folder, today, closed)]
    coming = [folder for folder in folders if folder > position.after][:SESSIONS_A_TICK]
    requests: list[dg.RunRequest] = []
    observations: list[dg.AssetObservation] = []
    due = {_key(folder) for folder in folders}
    asked = {key: last for key, last in position.asked.items() if key in due}
    for folder in coming:
        plan = lake.compactor().plan(session_date_of_key(folder))
        if plan.is_empty:
            continue
        key = _key(folder)
        now = _ask(asked.get(key), files_hash(plan.new_files), today)
        if now is not None:
            asked[key] = now
            requests.append(_request(key, now, plan, closed))
            observations.append(_observation(key, plan, closed))
    after = coming[-1] if len(coming) == SESSIONS_A_TICK else ""
    return dg.SensorResult(run_requests=requests, asset_events=observations, cursor=Position(after, asked).to_json())


def _today() -> date:
    return session_date_of(int(utc_now().timestamp() * 1e9))


def _key(folder: str) -> str:
    return session_date_of_key(folder).isoformat()


def _is_due(folder: str, today: date, closed: bool) -> bool:
    try:
        session_date = session_date_of_key(folder)
    except ValueError:
        return False  # the refresh of unpublished sessions names it
    return session_date < today and session_partitions().has_partition_key(_key(folder)) != closed


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
