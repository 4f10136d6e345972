"""Registers unpublished sessions in the catalog, so that queries list and read no other raw files.

Publication changes nothing here: readers leave out published sessions themselves, from the moment of publication.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from stock_pipeline.domain.lake_layout import RAW_PREFIX, raw_partition_prefix, session_date_of_key
from stock_pipeline.domain.unpublished_plan import plan_unpublished
from stock_pipeline.errors import RetryableError
from stock_pipeline.lake.lake_access import Folders, SessionTables


def raw_folders(lake: Folders) -> list[str]:
    """Return the prefixes of sessions with raw files, without listing the files."""
    return sorted(lake.folders(RAW_PREFIX, depth=3))


class Refreshed(NamedTuple):
    """Counts of one refresh."""

    registered: int
    dropped: int


@dataclass(frozen=True)
class UnpublishedSessions:
    lake: Folders
    catalog: SessionTables
    now: Callable[[], datetime]

    def refresh(self, folders: Iterable[str]) -> Refreshed:
        """Register unpublished sessions, and drop those published for so long that no query needs them here.

        Raises `RetryableError` at the end, with all names of sessions that failed.

        folders: those of sessions with raw files.
        """
        sessions, failures = sessions_of(folders)
        now = self.now()
        registered = self.catalog.unpublished_sessions()
        since = self.catalog.published_since({*sessions, *registered})
        plan = plan_unpublished(sessions, registered, since, now)
        locations = {day: self.lake.uri(raw_partition_prefix(day)) for day in plan.register}
        failures += self.catalog.register_unpublished(locations)
        failures += self.catalog.drop_unpublished(plan.drop)
        years = {day.year for day in sessions} | {now.year}
        self.catalog.widen_years(min(years), max(years))
        if failures:
            raise RetryableError(
                f"unpublished sessions could not be registered or dropped ({'; '.join(failures)}); run again"
            )
        return Refreshed(len(plan.register), len(plan.drop))


def sessions_of(folders: Iterable[str]) -> tuple[list[date], list[str]]:
    """Return the sessions of folders, and a sentence for each folder that is none."""
    sessions: list[date] = []
    failures: list[str] = []
    for folder in folders:
        try:
            sessions.append(session_date_of_key(folder))
        except ValueError:
            failures.append(f"{folder} is no folder of a session: move it away")
    return sessions, failures
