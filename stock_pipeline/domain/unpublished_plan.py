"""Plans which sessions `unpublished_trades` has partitions of: those with raw files and without a published version."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

READERS_GRACE = timedelta(minutes=40)
"""How long a published session stays registered.

A query reads the partitions of `trades` and `unpublished_trades` at different moments, and Athena ends it after 30
minutes. If it saw `trades` before the publication, it still finds the session here.
"""


@dataclass(frozen=True, slots=True)
class UnpublishedPlan:
    """Changes of the registered sessions, in the order of their dates."""

    register: tuple[date, ...]
    drop: tuple[date, ...]


def plan_unpublished(
    with_raw_files: Iterable[date],
    registered: Collection[date],
    published_since: Mapping[date, datetime],
    now: datetime,
) -> UnpublishedPlan:
    """Plan the changes.

    published_since: when the catalog first showed each published session.
    """
    missing = {*with_raw_files} - {*registered} - published_since.keys()
    latest = now - READERS_GRACE
    seen_by_all = {day for day in registered if day in published_since and published_since[day] <= latest}
    return UnpublishedPlan(tuple(sorted(missing)), tuple(sorted(seen_by_all)))
