"""Reopened sessions: redrive sent trades of them, or the nightly sweep found raw files that they lack.

An object each says so, whoever wrote it. Its time counts, so nobody has to delete it.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

from stock_pipeline.domain.lake_layout import (
    REOPENED_PREFIX,
    reopened_key,
    session_date_of_key,
    session_date_of_reopened_key,
    session_name,
)
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.lake.session_failures import SessionFailures


def reopened_since(lake: Lake, time: datetime) -> list[date]:
    """Return the sessions that were reopened at this time or later. Another object there says nothing."""
    sessions: list[date] = []
    for each in lake.list(REOPENED_PREFIX):
        with suppress(ValueError):
            sessions += [session_date_of_reopened_key(each.key)] if each.modified >= time else []
    return sessions


@dataclass(frozen=True)
class Sweep:
    """Looks at every session, which costs three calls each: once a night."""

    lake: Lake
    compactor: Compactor

    def run(self, folders: Iterable[str], before: date) -> Iterator[date]:
        """Reopen each session before this date with raw files that its version lacks, the newest first; yield it.

        Raises at the end, with all names of sessions that failed.

        folders: those of sessions with raw files.
        """
        failures = SessionFailures()
        sessions: list[date] = []
        for folder in folders:
            with failures.of(session_name(folder)):
                sessions.append(session_date_of_key(folder))
        for session_date in sorted(sessions, reverse=True):
            if session_date >= before:
                continue
            is_new = False
            with failures.of(session_date):
                is_new = not self.compactor.plan(session_date).is_empty
                if is_new:
                    self.lake.put(reopened_key(session_date), b"")
            if is_new:
                yield session_date
        failures.raise_all()
