"""The engine `athena`: a SQL engine compacts a partition too large for this machine.

It writes objects under its own names, and not on condition. So each attempt has a version of its own, which nothing
else writes to; one that died is garbage.
"""

from typing import NamedTuple, Protocol

from stock_pipeline.domain.compaction_plan import ATHENA, CompactionPlan, InputFile
from stock_pipeline.domain.lake_layout import VersionPrefix
from stock_pipeline.domain.sql_compaction import SqlCompaction, SqlResult
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import ProofError, QueryFailedError
from stock_pipeline.lake.footers import other_types, unsorted_files
from stock_pipeline.lake.lake_access import Lake


class SqlEngine(Protocol):
    def new_attempt(self) -> str:
        """Return a name that no other attempt has."""

    def find_unreadable(self, work: SqlCompaction) -> dict[InputFile, str]:
        """Return the files without trades of the session, with the reason.

        `QueryFailedError` if they can't be read and the engine does not say which.
        """

    def write(self, work: SqlCompaction) -> SqlResult:
        """Write the target; return digests of the inputs' winning rows and of the written ones."""


class WrittenVersion(NamedTuple):
    """A proved version in the lake.

    unsorted: keys of data files whose row groups are not in the order of symbols.
    """

    target: VersionPrefix
    rows_in: int
    unreadable: frozenset[InputFile]
    digest: TradesDigest
    data_bytes: int
    data_files: tuple[str, ...]
    engine: str
    unsorted: tuple[str, ...]


def find_unreadable(lake: Lake, sql_engine: SqlEngine, plan: CompactionPlan, attempt: str) -> dict[InputFile, str]:
    """Return the unreadable new files, asking again without them until the rest can be read.

    Where the engine fails without naming a file, their footers are looked at.
    """
    found: dict[InputFile, str] = {}
    while len(found) < len(plan.new_files):
        work = _work(plan, frozenset(found), attempt)
        try:
            more = sql_engine.find_unreadable(work)
        except QueryFailedError:
            more = other_types(lake, work.files)
            if not more:
                raise
        if not more:
            break
        found.update(more)
    return found


def write_version(
    lake: Lake, sql_engine: SqlEngine, plan: CompactionPlan, unreadable: frozenset[InputFile], attempt: str
) -> WrittenVersion:
    """Write and prove the version.

    Files that are not sorted are named, not refused: their rows are right, only queries for one symbol read more.
    """
    work = _work(plan, unreadable, attempt)
    done = sql_engine.write(work)
    _prove(work, done)
    listed = list(lake.list(work.target.prefix))
    names = [each.key.removeprefix(work.target.prefix) for each in listed]
    return WrittenVersion(
        target=work.target,
        rows_in=done.rows_in,
        unreadable=unreadable,
        digest=done.found,
        data_bytes=sum(each.size for each in listed),
        data_files=tuple(names),
        engine=ATHENA,
        unsorted=unsorted_files(lake, (each.key for each in listed)),
    )


def _work(plan: CompactionPlan, unreadable: frozenset[InputFile], attempt: str) -> SqlCompaction:
    files = tuple(file for file in plan.new_files if file not in unreadable)
    all_unreadable = (*plan.all_unreadable(), *unreadable)
    return SqlCompaction(plan.session_date, plan.base, files, all_unreadable, plan.target(unreadable, attempt))


def _prove(work: SqlCompaction, done: SqlResult) -> None:
    for name in ("rows", "volume", "ids_hash", "rows_hash", "min_event_time_ns", "max_event_time_ns"):
        expected, found = getattr(done.expected, name), getattr(done.found, name)
        if expected != found:
            raise ProofError(
                f"session {work.session_date}: {name} of the inputs is {expected}, of what Athena wrote {found}; "
                "nothing was published"
            )
    if done.distinct_ids != done.found.rows:
        raise ProofError(f"session {work.session_date}: Athena wrote event ids twice; nothing was published")
