"""The sensor of raw files: asks for a run where a past session has files that its published version lacks.

The session that is on has new files all the time, and its schedules; so the sensor looks at earlier ones, whose files
are late, or were left over by a run that failed. It observes `raw_trades` as it goes.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import dagster as dg

from stock_pipeline.domain.compaction_plan import CompactionPlan, InputFile
from stock_pipeline.domain.lake_layout import RAW_PREFIX, session_date_of_key
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.orchestration.lake_schedules import SESSION_JOB
from stock_pipeline.orchestration.partitions import session_partitions
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import sensor_status
from stock_pipeline.settings import Settings

SESSIONS_A_TICK = 10
"""A tick ends within a minute even where each session has tens of thousands of files."""

INTERVAL_SECONDS = 300


@dataclass(frozen=True)
class Position:
    """The sensor's cursor. after: the folder that was looked at last; the next tick goes on behind it.
    asked: for which set of files each session's last run was asked for."""

    after: str = ""
    asked: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"after": self.after, "asked": self.asked})

    @classmethod
    def from_json(cls, text: str | None) -> "Position":
        return cls(**json.loads(text)) if text else cls()


def raw_file_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="raw_files",
        job_name=SESSION_JOB,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Asks for a run of each past session that has raw files which its published version lacks.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        today = session_date_of(int(datetime.now(UTC).timestamp() * 1e9))
        return look(lake, Position.from_json(context.cursor), today)

    return sensor


def look(lake: LakeResource, position: Position, today: date) -> dg.SensorResult:
    """One tick: the next few sessions that have raw files, and around again from the first."""
    folders = sorted(lake.objects.folders(RAW_PREFIX, depth=3))
    coming = [folder for folder in folders if folder > position.after][:SESSIONS_A_TICK]
    requests: list[dg.RunRequest] = []
    observations: list[dg.AssetObservation] = []
    asked = {key: hashed for key, hashed in position.asked.items() if _is_still_there(key, folders)}
    for folder in coming:
        session_date = session_date_of_key(folder)
        key = session_date.isoformat()
        if session_date >= today or not session_partitions().has_partition_key(key):
            continue
        plan = lake.compactor().plan(session_date)
        if plan is None:
            continue
        hashed = files_hash(plan.new_files)
        if asked.get(key) != hashed:
            asked[key] = hashed
            requests.append(_request(key, hashed, plan))
            observations.append(_observation(key, plan))
    after = coming[-1] if len(coming) == SESSIONS_A_TICK else ""
    return dg.SensorResult(run_requests=requests, asset_events=observations, cursor=Position(after, asked).to_json())


def files_hash(files: Iterable[InputFile]) -> str:
    """Stands for this set of files; a set that grows by one late file is another."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.key} {file.etag} {file.size}\n".encode())
    return digest.hexdigest()[:16]


def _is_still_there(key: str, folders: list[str]) -> bool:
    return any(session_date_of_key(folder).isoformat() == key for folder in folders)


def _request(key: str, hashed: str, plan: CompactionPlan) -> dg.RunRequest:
    reason = "late files" if plan.base else "new files"
    return dg.RunRequest(run_key=f"raw_files:{key}:{hashed}", partition_key=key, tags={"reason": reason})


def _observation(key: str, plan: CompactionPlan) -> dg.AssetObservation:
    return dg.AssetObservation(
        "raw_trades",
        partition=key,
        metadata={
            "files_not_in_the_published_version": len(plan.new_files),
            "bytes_not_in_the_published_version": sum(file.size for file in plan.new_files),
            "late": plan.base is not None,
        },
    )
