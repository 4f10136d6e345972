"""The engine `athena`: a SQL engine compacts a partition too large for this machine.

It writes objects under its own names, and not on condition. So each attempt has a version of its own, which nothing
else writes to; one that died is garbage.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from stock_pipeline.domain.compaction_plan import ATHENA, CompactionPlan, InputFile
from stock_pipeline.domain.lake_layout import raw_partition_prefix
from stock_pipeline.domain.sql_compaction import SqlCompaction, SqlReading, SqlResult
from stock_pipeline.errors import ProofError
from stock_pipeline.lake.engine import WrittenVersion
from stock_pipeline.lake.footers import judge_files, unsorted_files
from stock_pipeline.lake.lake_access import Lake
from stock_pipeline.lake.raw_file_gate import Verdict, ignored_columns

SCANS = 2
"""A statement reads its inputs for the winning rows, and once more for the ids of all. Small files are read whole."""


class SqlQueries(Protocol):
    """A SQL engine's queries over the lake."""

    def new_attempt(self) -> str:
        """Return a name that no other attempt has."""

    def most_bytes(self) -> int | None:
        """Return how many bytes a query may read, or None."""

    def read(self, work: SqlCompaction) -> SqlReading:
        """Count the rows of each file, and those that are no trades of the session.

        `QueryFailedError` if a file can't be read and the engine does not say which.
        """

    def write(self, work: SqlCompaction) -> SqlResult:
        """Write the target; return digests of the inputs' winning rows and of the written ones."""


@dataclass(frozen=True)
class SqlEngine:
    """verdicts: the gate's, of the plan's new files."""

    lake: Lake
    queries: SqlQueries
    verdicts: Mapping[InputFile, Verdict]
    name: str = field(default=ATHENA, init=False)

    @classmethod
    def of(cls, lake: Lake, queries: SqlQueries, plan: CompactionPlan) -> "SqlEngine":
        return cls(lake, queries, judge_files(lake, plan.new_files))

    def objection(self, plan: CompactionPlan) -> str:
        """Return why this engine can't compact the session, or ""."""
        widened = sorted(file.key for file, verdict in self.verdicts.items() if verdict.widened)
        if widened:
            return f"{len(widened)} raw files have columns of a narrower type ({widened[0]})"
        most = self.queries.most_bytes()
        if most is not None and (size := self.bytes_to_read(plan)) > most:
            return f"a query would read {size:,} bytes, and the workgroup's bytes_scanned_cutoff is {most:,}"
        return ""

    def bytes_to_read(self, plan: CompactionPlan) -> int:
        """Return how many bytes one statement reads at most.

        It reads every raw file of the session, also those that are in the base: a list of paths prunes rows, not files.
        """
        base = plan.base.data_bytes if plan.base else 0
        return SCANS * (base + sum(each.size for each in self.lake.list(raw_partition_prefix(plan.session_date))))

    @contextmanager
    def opened(self, plan: CompactionPlan) -> Iterator["SqlInputs"]:
        inputs = SqlInputs(self, plan)
        inputs.read()
        yield inputs


class SqlInputs:
    """The files of a plan, counted by the gate and by the engine."""

    def __init__(self, engine: SqlEngine, plan: CompactionPlan) -> None:
        self._engine, self._plan = engine, plan
        self._attempt = engine.queries.new_attempt()
        self.unreadable = {file: verdict.refused for file, verdict in engine.verdicts.items() if verdict.refused}

    @property
    def ignored(self) -> tuple[str, ...]:
        return ignored_columns(self._engine.verdicts.values())

    @property
    def schema_version(self) -> int:
        return max((verdict.version for verdict in self._engine.verdicts.values() if not verdict.refused), default=1)

    def read(self) -> None:
        """Ask again without unreadable files until the rest can be read."""
        while (work := self._work()).files:
            reading = self._engine.queries.read(work)
            if not reading.unreadable:
                self._check_rows(work, reading)
                return
            self.unreadable.update(reading.unreadable)

    def write(self) -> WrittenVersion:
        """Write and prove the version.

        Files that are not sorted are named, not refused: their rows are right, only queries for one symbol read more.
        """
        lake = self._engine.lake
        work = self._work()
        done = self._engine.queries.write(work)
        _prove(work, done, self._rows_to_read(work))
        listed = list(lake.list(work.target.prefix))
        return WrittenVersion(
            target=work.target,
            rows_in=done.rows_in,
            digest=done.found,
            data_bytes=sum(each.size for each in listed),
            data_files=tuple(each.key.removeprefix(work.target.prefix) for each in listed),
            unsorted=unsorted_files(lake, (each.key for each in listed)),
        )

    def _check_rows(self, work: SqlCompaction, reading: SqlReading) -> None:
        for file in work.files:
            found, expected = reading.rows.get(file, 0), self._engine.verdicts[file].rows
            if found != expected:
                raise ProofError(
                    f"session {work.session_date}: Athena reads {found} rows of {file.key}, its footer says "
                    f"{expected}; nothing was published"
                )

    def _rows_to_read(self, work: SqlCompaction) -> int:
        base = self._plan.base
        return sum(self._engine.verdicts[file].rows for file in work.files) + (base.digest.rows if base else 0)

    def _work(self) -> SqlCompaction:
        plan, unreadable = self._plan, frozenset(self.unreadable)
        return SqlCompaction(
            session_date=plan.session_date,
            base=plan.base.place if plan.base else None,
            files=tuple(file for file in plan.new_files if file not in unreadable),
            unreadable=plan.all_unreadable(unreadable),
            target=plan.target(unreadable, self._attempt),
        )


def _prove(work: SqlCompaction, done: SqlResult, rows: int) -> None:
    if done.rows_in != rows:
        raise ProofError(
            f"session {work.session_date}: Athena read {done.rows_in} rows, base and raw files have {rows}; nothing "
            "was published"
        )
    for name in (
        "rows",
        "volume",
        "volume_fraction",
        "ids_hash",
        "rows_hash",
        "min_event_time_ns",
        "max_event_time_ns",
    ):
        expected, found = getattr(done.expected, name), getattr(done.found, name)
        if expected != found:
            raise ProofError(
                f"session {work.session_date}: {name} of the inputs is {expected}, of what Athena wrote {found}; "
                "nothing was published"
            )
    if done.distinct_ids != done.found.rows:
        raise ProofError(f"session {work.session_date}: Athena wrote event ids twice; nothing was published")
