"""Iceberg tables of the database: what they hold, and their upkeep by Athena.

Athena selects the files itself: OPTIMIZE skips a file with fewer than two delete files, VACUUM what is younger than the
table's `vacuum_max_snapshot_age_seconds`. When they run belongs to `orchestration`.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from stock_pipeline.aws.athena import Athena
from stock_pipeline.domain.lake_layout import MARTS_PREFIX
from stock_pipeline.domain.table_upkeep import PartitionFiles, rewrite_statements, worth_rewriting
from stock_pipeline.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import TableTypeDef

ROUNDS = 20
"""Runs of one statement: Athena ends it after some files with an error that asks for another."""

_MORE_RUNS_NEEDED = "MORE_RUNS_NEEDED"


@dataclass(frozen=True)
class TableFigures:
    """What the current snapshot of a table is made of."""

    data_files: int
    delete_files: int
    deleted_rows: int
    bytes: int
    snapshots: int


@dataclass(frozen=True)
class UpkeepReport:
    """What an upkeep found and left. `waiting` sessions are left to the next one."""

    before: TableFigures
    after: TableFigures
    rewritten: int
    waiting: int

    def figures(self) -> dict[str, int]:
        before = {f"{name}_before": value for name, value in asdict(self.before).items()}
        after = {f"{name}_after": value for name, value in asdict(self.after).items()}
        return {**before, **after, "sessions_rewritten": self.rewritten, "sessions_waiting": self.waiting}


@dataclass(frozen=True)
class IcebergTables:
    """The Iceberg tables that dbt keeps in `bucket`."""

    athena: Athena
    glue: "GlueClient"
    bucket: str

    def names(self) -> list[str]:
        pages = self.glue.get_paginator("get_tables").paginate(DatabaseName=self.athena.database)
        return sorted(table["Name"] for page in pages for table in page["TableList"] if self._is_ours(table))

    def _is_ours(self, table: "TableTypeDef") -> bool:
        location = table.get("StorageDescriptor", {}).get("Location", "")
        is_iceberg = table.get("Parameters", {}).get("table_type", "").upper() == "ICEBERG"
        return is_iceberg and location.startswith(f"s3://{self.bucket}/{MARTS_PREFIX}")

    def keep_up(self, table: str, most_sessions: int) -> UpkeepReport:
        """Rewrite the sessions that are worth it, at most so many, and forget old snapshots."""
        before = self.figures(table)
        sessions = worth_rewriting(self.partitions(table))
        chosen = sessions[:most_sessions]
        for statement in [*rewrite_statements(table, chosen), f"VACUUM {table}"]:
            self._run_to_the_end(statement)
        return UpkeepReport(before, self.figures(table), len(chosen), len(sessions) - len(chosen))

    def figures(self, table: str) -> TableFigures:
        rows = self.athena.query(figures_query(table)).rows
        return TableFigures(*rows[0])

    def partitions(self, table: str) -> list[PartitionFiles]:
        rows = self.athena.query(partitions_query(table)).rows
        return [PartitionFiles(date(year, month, day), files, deleted) for year, month, day, files, deleted in rows]

    def _run_to_the_end(self, statement: str) -> None:
        for _ in range(ROUNDS):
            try:
                self.athena.run(statement)
            except PermanentError as error:
                if _MORE_RUNS_NEEDED not in str(error):
                    raise
            else:
                return
        raise RetryableError(f"{statement} was not done after {ROUNDS} rounds; run the upkeep again")


def figures_query(table: str) -> str:
    """Return a query of the current snapshot's totals, and of the number of snapshots."""
    totals = ", ".join(
        f"cast(coalesce(element_at(summary, 'total-{name}'), '0') AS bigint)"
        for name in ("data-files", "delete-files", "position-deletes", "files-size")
    )
    return f'SELECT {totals}, count(*) OVER () FROM "{table}$snapshots" ORDER BY committed_at DESC LIMIT 1'


def partitions_query(table: str) -> str:
    """Return a query of each session's data files and deleted rows.

    Deleted are the rows of files that a query does not see, because not every version of `$files` lists delete files.
    """
    return (
        "SELECT held.year, held.month, held.day, held.files, held.records - coalesce(seen.records, 0) AS deleted FROM ("
        "SELECT partition.year AS year, partition.month AS month, partition.day AS day, file_count AS files, "
        f'record_count AS records FROM "{table}$partitions") AS held LEFT JOIN ('
        f"SELECT year, month, day, count(*) AS records FROM {table} GROUP BY year, month, day) AS seen "
        "ON held.year = seen.year AND held.month = seen.month AND held.day = seen.day"
    )
