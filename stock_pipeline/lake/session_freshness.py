"""Reads what the verdict about the due session needs. The rules are `domain.freshness`'s."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from stock_pipeline.domain.freshness import DueSession, Finding, due_session, is_early, judge_session
from stock_pipeline.domain.lake_layout import CURATED_PREFIX, RAW_PREFIX, session_date_of_key
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.lake_access import Folders
from stock_pipeline.lake.session_failures import SessionFailures


def session_due(lake: Folders, now: datetime, feed: str = "") -> DueSession | None:
    """Return the session that is due by now, if the lake goes back to it."""
    firsts = (next(_sessions(lake, prefix, depth=3), None) for prefix in (RAW_PREFIX, CURATED_PREFIX))
    return due_session(now, min((first for first in firsts if first is not None), default=None), feed)


def judge_published(
    compactor: Compactor, due: DueSession | None, read_to_ns: int | None, delay_seconds: int
) -> Finding:
    """Judge if the due session is published as a whole. One that is damaged or can't be looked at is not.

    delay_seconds: how far the feed is behind the clock.
    read_to_ns: until when the source was read; None if nothing tells.
    """
    if due is None:
        return judge_session(due, None)
    failures = SessionFailures()
    finding: Finding | None = None
    with failures.of(due.session_date):
        partition = compactor.partition(due.session_date)
        stored = partition.head()
        published = partition.published(stored)
        if published is not None and published.damage:
            return Finding(
                False, f"session {due.session_date}: version {published.name} is damaged: {published.damage}"
            )
        made_at = stored.head.catalog_confirmed_at if published else None
        early = made_at is not None and is_early(due, made_at, delay_seconds)
        lacks_nothing = early and compactor.plan(due.session_date).is_empty
        finding = judge_session(due, made_at, delay_seconds, lacks_nothing, read_to_ns)
    return finding or Finding(False, str(failures))


def _sessions(lake: Folders, prefix: str, depth: int) -> Iterator[date]:
    """Yield the sessions with folders below the prefix, the first one first, and list no more than is asked for."""
    for folder in sorted(lake.folders(prefix, depth=1), key=_number):
        if depth > 1:
            yield from _sessions(lake, folder, depth - 1)
        else:
            yield from _session(folder)


def _session(folder: str) -> Iterable[date]:
    try:
        return [session_date_of_key(folder)]
    except ValueError:
        return []  # the nightly sweep names it


def _number(folder: str) -> int:
    digits = folder.rstrip("/").rpartition("=")[2]
    return int(digits) if digits.isdecimal() else 0
