"""A SQL engine that compacts: it reads and writes an object store as Athena does its bucket, two files at once."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.sql_compaction import SqlCompaction, SqlReading, SqlResult
from stock_pipeline.domain.trade import Trade, share_columns
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import QueryFailedError
from stock_pipeline.trade_table import trade_schema
from tests.fakes.stores import FakeObjectStore
from tests.support.athena_files import athena_file
from tests.support.oracle import winning_trades
from tests.support.raw_files import read_trades


@dataclass
class FakeSqlQueries:
    """spoil: what becomes of the rows on their way into the files.

    failure: what every query ends with.
    cutoff: how many bytes a query may read.
    left_out: keys whose rows it does not see.
    """

    store: FakeObjectStore
    spoil: Callable[[list[Trade]], list[Trade]] = lambda rows: rows
    attempts: list[str] = field(default_factory=list)
    name: str = "one"
    failure: str = ""
    cutoff: int | None = None
    left_out: set[str] = field(default_factory=set)

    def new_attempt(self) -> str:
        self.attempts.append(f"{self.name}-{len(self.attempts)}")
        return self.attempts[-1]

    def most_bytes(self) -> int | None:
        return self.cutoff

    def read(self, work: SqlCompaction) -> SqlReading:
        if self.failure:
            raise QueryFailedError(self.failure)
        self._check_types(work.files)
        unreadable = {file: reason for file in work.files if (reason := self._reason(file.key, work.session_date))}
        readable = [file for file in work.files if file not in unreadable]
        return SqlReading({file: len(self._rows(file.key)) for file in readable}, unreadable)

    def write(self, work: SqlCompaction) -> SqlResult:
        assert not list(self.store.list(work.target.prefix)), "UNLOAD refuses a place that is not empty"
        keys = [listed.key for listed in self.store.list(work.base.prefix)] if work.base else []
        keys = [key for key in keys if "/_" not in key] + [file.key for file in work.files]
        rows = [row for key in keys for row in self._rows(key)]
        winning = winning_trades(rows)
        written = self.spoil(winning)
        for number in range(2):
            # the names are Athena's own, without an ending
            name = f"20180102_230000_{number:05}_{self.attempts[-1]}"
            self.store.put(work.target.prefix + name, athena_file(written[number::2]))
        listed = list(self.store.list(work.target.prefix))
        found = [row for each in listed for row in read_trades(self.store.get(each.key))]
        return SqlResult(len(rows), _digest(winning), _digest(found), len({row.event_id for row in found}))

    def _rows(self, key: str) -> list[Trade]:
        return [] if key in self.left_out else read_trades(self.store.get(key))

    def _check_types(self, files: Iterable[InputFile]) -> None:
        """Fail as Trino does for a file of another type: without its name."""
        for file in files:
            try:
                found = pq.read_schema(io.BytesIO(self.store.get(file.key)))
            except (pa.ArrowException, OSError):
                continue
            for column in ("price", "volume"):
                declared = trade_schema().field(column).type
                if found.field(column).type != declared:
                    raise QueryFailedError(f"NOT_SUPPORTED: Unsupported Trino column type ({declared})")

    def _reason(self, key: str, session_date: date) -> str | None:
        try:
            rows = read_trades(self.store.get(key))
        except (pa.ArrowException, OSError) as error:
            return str(error)
        strangers = sum(feed_session_date(row.event_time_ns, row.feed) != session_date for row in rows)
        return f"{strangers} rows are of another session" if strangers else None


def _digest(rows: Sequence[Trade]) -> TradesDigest:
    """With a hash of its own, as Athena has."""
    times = [row.event_time_ns for row in rows]
    volumes = [share_columns(row.volume) for row in rows]
    return TradesDigest(
        rows=len(rows),
        volume=sum(whole or 0 for whole, _ in volumes),
        volume_fraction=sum(fraction for _, fraction in volumes),
        ids_hash=sum(hash(row.event_id) for row in rows) % 2**64,
        rows_hash=sum(hash(row) for row in rows) % 2**64,
        min_event_time_ns=min(times, default=None),
        max_event_time_ns=max(times, default=None),
    )
