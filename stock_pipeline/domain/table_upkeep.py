"""Upkeep of an Iceberg table: which of its partitions are worth rewriting, and by which statements.

A MERGE leaves the rows that it replaces in their files and lists them as deleted. Readers put both together, until the
partition is rewritten. The statements run elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

PARTITIONS_A_RUN = 100
"""Partitions of a table that one run rewrites: an upkeep after a backfill goes on the next night."""

MANY_FILES = 5
"""Files of a partition that are worth joining; Athena joins no fewer (`optimize_rewrite_data_file_threshold`)."""


@dataclass(frozen=True)
class PartitionFiles:
    """The data files of one session's partition, and how many of their rows are deleted."""

    session_date: date
    files: int
    deleted_rows: int


def worth_rewriting(partitions: Iterable[PartitionFiles]) -> list[date]:
    """Return the sessions with deleted rows or many files, newest first, because they are read most."""
    found = [one.session_date for one in partitions if one.deleted_rows or one.files >= MANY_FILES]
    return sorted(found, reverse=True)


def rewrite_statements(table: str, sessions: Iterable[date]) -> list[str]:
    """Return an OPTIMIZE for each month, because Athena writes a hundred partitions a statement at most."""
    months: dict[tuple[int, int], list[int]] = {}
    for session in sessions:
        months.setdefault((session.year, session.month), []).append(session.day)
    return [
        f"OPTIMIZE {table} REWRITE DATA USING BIN_PACK "
        f"WHERE year = {year} AND month = {month} AND day IN ({', '.join(map(str, sorted(days)))})"
        for (year, month), days in months.items()
    ]
