"""Compaction by Athena: it unloads the winning rows to a version's prefix, and counts them there by another query.

`UNLOAD` writes several files at once under its own names, each sorted, but not among each other. Its target must be
empty; objects of a failed one stay (Athena User Guide, "UNLOAD"). Planning and publishing belong to `lake`.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.aws.athena import RESULTS_PREFIX, Athena
from stock_pipeline.aws.athena_ddl import BEST_ROW_FIRST
from stock_pipeline.aws.catalog import SCRATCH_PREFIX, GlueCatalog
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.feed_session import (
    CONTINUOUS_FEEDS,
    OVERNIGHT_FEEDS,
    SessionRule,
    rule_session_bounds_ns,
)
from stock_pipeline.domain.lake_layout import raw_partition_prefix
from stock_pipeline.domain.sql_compaction import SqlCompaction, SqlReading, SqlResult
from stock_pipeline.domain.trade import COLUMNS, LAKE_ORDER, NULLABLE_COLUMN
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import PermanentError, QueryFailedError

MOST_SQL_BYTES = 262_144
"""Athena's limit of a statement (Athena User Guide, "Service Quotas")."""

BASE, RAW, WRITTEN = "base", "raw", "written"

_FORGOTTEN = timedelta(days=1)

_LISTS_PREFIX = f"{RESULTS_PREFIX}compaction/"
_PATH = "path"
_PATHS_FILE = "paths.parquet"

_NAMES_ALL = tuple(column.name for column in COLUMNS)
_NAMES = ", ".join(_NAMES_ALL)
_ORDER = ", ".join(LAKE_ORDER)
_NOT_HASHED = ("event_time", "ingest_time", "session_date")
"""Ingest time, and columns that follow from others; as in `lake.row_hash`."""


class Scratch(NamedTuple):
    """Tables of one attempt: `rows` has a partition for each place, `files` the paths of the plan's raw files."""

    rows: str
    files: str


@dataclass(frozen=True)
class AthenaEngine:
    athena: Athena
    catalog: GlueCatalog
    objects: ObjectStore
    now: Callable[[], datetime]

    def new_attempt(self) -> str:
        return uuid.uuid4().hex

    def most_bytes(self) -> int | None:
        return self.athena.bytes_scanned_cutoff()

    def read(self, work: SqlCompaction) -> SqlReading:
        """Count each file's rows, and those of other sessions; or name the file that ended the query."""
        by_uri = {self._uri(file.key): file for file in work.files}
        with self._scratch(work) as scratch:
            try:
                answer = self.athena.query(checked(file_figures(scratch, self._left_out(work), work.session_date)))
            except QueryFailedError as error:
                # Athena names only the file that it could not read, and not for every reason
                named = {file: str(error) for uri, file in by_uri.items() if uri in str(error)}
                if not named:
                    raise
                return SqlReading({}, named)
        figures = {by_uri[uri]: (int(rows), int(strangers)) for uri, rows, strangers in answer.rows}
        return SqlReading(
            rows={file: rows for file, (rows, _) in figures.items()},
            unreadable={
                file: f"{strangers} rows are not trades of session {work.session_date}"
                for file, (_, strangers) in figures.items()
                if strangers
            },
        )

    def write(self, work: SqlCompaction) -> SqlResult:
        with self._scratch(work) as scratch:
            source = inputs(scratch, work, self._left_out(work))
            rows_in, expected, _ = _read(self.athena.query(checked(expected_figures(source))).rows[0])
            self.athena.run(checked(unload_statement(source, self._uri(work.target.prefix))))
            _, found, distinct_ids = _read(self.athena.query(found_figures(scratch.rows)).rows[0])
        return SqlResult(rows_in, expected, found, distinct_ids)

    @contextmanager
    def _scratch(self, work: SqlCompaction) -> Iterator[Scratch]:
        """Create tables over base, raw files and target, and of the plan's files, for as long as the context lasts."""
        self.catalog.drop_scratch_before(self.now() - _FORGOTTEN)
        name = f"{SCRATCH_PREFIX}{work.target.version}"
        listed = f"{_LISTS_PREFIX}{work.target.version}/"
        places = {RAW: raw_partition_prefix(work.session_date), WRITTEN: work.target.prefix}
        if work.base is not None:
            places[BASE] = work.base.prefix
        try:
            self.catalog.create_scratch(name, {place: self._uri(prefix) for place, prefix in places.items()})
            self.objects.put(f"{listed}{_PATHS_FILE}", _paths_file([self._uri(file.key) for file in work.files]))
            self.catalog.create_scratch_list(f"{name}_files", self._uri(listed), _PATH)
            yield Scratch(f"{self.catalog.database}.{name}", f"{self.catalog.database}.{name}_files")
        finally:
            self.catalog.drop_scratch(f"{name}_files")
            self.catalog.drop_scratch(name)
            self.objects.delete([f"{listed}{_PATHS_FILE}"])

    def _uri(self, key: str) -> str:
        return f"s3://{self.catalog.bucket}/{key}"

    def _left_out(self, work: SqlCompaction) -> list[str]:
        """Return unreadable objects, which Athena may not open. One of these keys may have a readable object now."""
        keys = {file.key for file in work.files}
        return [self._uri(file.key) for file in work.unreadable if file.key not in keys]


def checked(sql: str) -> str:
    if len(sql.encode()) > MOST_SQL_BYTES:
        raise PermanentError(
            f"the statement that leaves out all unreadable raw files has {len(sql.encode()):,} bytes, Athena takes "
            f"{MOST_SQL_BYTES:,}: move these files away, or set ATHENA_COMPACTION_MEGABYTES higher, so that this "
            "machine compacts the session"
        )
    return sql


def inputs(scratch: Scratch, work: SqlCompaction, left_out: Iterable[str]) -> str:
    """Return a query of all input rows: the base, and exactly the raw files of the plan."""
    raw = f"SELECT {_input_names()} FROM {scratch.rows} WHERE {_of_plan(scratch, left_out)}"
    if work.base is None:
        return raw
    return f"SELECT {_input_names()} FROM {scratch.rows} WHERE place = '{BASE}' UNION ALL {raw}"


def file_figures(scratch: Scratch, left_out: Iterable[str], session_date: date) -> str:
    """Return a query that counts rows by file, and those that can't be of the session.

    It reads every column, because a file that Athena can't read must end it.
    """
    nulls = " OR ".join(f"{name} IS NULL" for name in _NAMES_ALL if name != NULLABLE_COLUMN)
    milliseconds = "date_diff('millisecond', timestamp '1970-01-01 00:00:00', event_time)"
    strange = (
        f"{nulls} OR session_date <> date '{session_date}' "
        f"OR NOT {within_session_condition(session_date)} "
        f"OR abs({milliseconds} - event_time_ns / 1000000) > 1"  # Athena rounds times to milliseconds
    )
    return (
        f'WITH source AS (SELECT "$path" AS path, {_input_names()} FROM {scratch.rows} '
        f"WHERE {_of_plan(scratch, left_out)}) "
        f"SELECT path, count(*) AS trades, sum(CASE WHEN {strange} THEN 1 ELSE 0 END) AS strangers "
        "FROM source GROUP BY path"
    )


def within_session_condition(session_date: date) -> str:
    """Return a condition: whether a row's time is one of the session's, by the rule of its feed."""
    within = {
        rule: "event_time_ns >= {} AND event_time_ns < {}".format(*rule_session_bounds_ns(session_date, rule))
        for rule in SessionRule
    }
    return (
        f"CASE WHEN regexp_like(feed, '{OVERNIGHT_FEEDS}') THEN {within[SessionRule.OVERNIGHT]} "
        f"WHEN regexp_like(feed, '{CONTINUOUS_FEEDS}') THEN {within[SessionRule.CONTINUOUS]} "
        f"ELSE {within[SessionRule.US_EQUITIES]} END"
    )


def _input_names() -> str:
    """Return the columns of files of any release: Athena reads null where an older one lacks a column."""
    return ", ".join(
        column.name if column.since == 1 else f"coalesce({column.name}, {_literal(column.default)}) AS {column.name}"
        for column in COLUMNS
    )


def _literal(value: str | int | None) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def unload_statement(source: str, target: str) -> str:
    return (
        f"UNLOAD ({_ranked_rows(source)} SELECT {_NAMES} FROM ranked WHERE rank_of_id = 1 ORDER BY {_ORDER}) "
        f"TO '{target}' WITH (format = 'PARQUET', compression = 'ZSTD')"
    )


def expected_figures(source: str) -> str:
    """Return a query of the rows read, and of the figures that the written rows must have.

    Ids are counted and hashed from the inputs as they are. Only the choice of winning rows is the same rule. Each
    mention of `source` reads the inputs once more: no more than `lake.sql_engine.SCANS`.
    """
    return (
        f"{_ranked_rows(source)}, ids AS (SELECT DISTINCT event_id FROM source), "
        f"of_ids AS (SELECT count(*) AS trades, sum({_hash('event_id')}) AS ids_hash FROM ids), "
        f"of_rows AS (SELECT count(*) AS rows_in, {_figures('FILTER (WHERE rank_of_id = 1)')} FROM ranked) "
        "SELECT of_rows.rows_in AS rows_in, of_ids.trades AS trades, of_ids.trades AS distinct_ids, "
        "of_ids.ids_hash AS ids_hash, of_rows.volume AS volume, of_rows.volume_fraction AS volume_fraction, "
        "of_rows.rows_hash AS rows_hash, of_rows.earliest AS earliest, of_rows.latest AS latest "
        "FROM of_ids CROSS JOIN of_rows"
    )


def found_figures(table: str) -> str:
    return (
        "SELECT 0 AS rows_in, count(*) AS trades, count(DISTINCT event_id) AS distinct_ids, "
        f"sum({_hash('event_id')}) AS ids_hash, {_figures()} FROM {table} WHERE place = '{WRITTEN}'"
    )


def _figures(rows: str = "") -> str:
    """Return the figures of all rows, or of those that the filter leaves."""
    return (
        f"coalesce(sum(cast(volume AS decimal(38, 0))) {rows}, 0) AS volume, "
        f"coalesce(sum(cast(volume_fraction AS bigint)) {rows}, 0) AS volume_fraction, "
        f"sum({_hash(_content())}) {rows} AS rows_hash, "
        f"min(event_time_ns) {rows} AS earliest, max(event_time_ns) {rows} AS latest"
    )


def _ranked_rows(source: str) -> str:
    ranking = f"row_number() OVER (PARTITION BY event_id ORDER BY {', '.join(BEST_ROW_FIRST)})"
    return f"WITH source AS ({source}), ranked AS (SELECT {_NAMES}, {ranking} AS rank_of_id FROM source)"


def _of_plan(scratch: Scratch, left_out: Iterable[str]) -> str:
    """Return the condition for raw files of the plan. Their list is a table, because a statement has no room for it."""
    conditions = [f"place = '{RAW}'", f'"$path" IN (SELECT {_PATH} FROM {scratch.files})']
    excluded = ", ".join(_literal(uri) for uri in left_out)
    return " AND ".join([*conditions, *([f'"$path" NOT IN ({excluded})'] if excluded else [])])


def _paths_file(uris: Sequence[str]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({_PATH: pa.array(uris, pa.string())}), sink)
    return bytes(sink.getvalue().to_pybytes())


def _content() -> str:
    """Return an expression with every column in which two rows of one trade may differ, as one text. A missing volume
    differs from 0.
    """
    values = [
        f"coalesce(cast({column.name} AS varchar), 'null')" for column in COLUMNS if column.name not in _NOT_HASHED
    ]
    return f"concat_ws('|', {', '.join(values)})"


def _hash(text: str) -> str:
    """Return 18 digits of MD5, letters turned into digits, as a number whose sum can't overflow."""
    return f"cast(translate(substr(to_hex(md5(to_utf8({text}))), 1, 18), 'ABCDEF', '012345') AS decimal(38, 0))"


def _read(row: tuple[Any, ...]) -> tuple[int, TradesDigest, int]:
    names = (
        "rows_in",
        "trades",
        "distinct_ids",
        "ids_hash",
        "volume",
        "volume_fraction",
        "rows_hash",
        "earliest",
        "latest",
    )
    figures: Mapping[str, Any] = {
        name: None if value is None else int(value) for name, value in zip(names, row, strict=True)
    }
    digest = TradesDigest(
        rows=figures["trades"],
        volume=figures["volume"],
        volume_fraction=figures["volume_fraction"],
        ids_hash=(figures["ids_hash"] or 0) % 2**64,
        rows_hash=(figures["rows_hash"] or 0) % 2**64,
        min_event_time_ns=figures["earliest"],
        max_event_time_ns=figures["latest"],
    )
    return figures["rows_in"], digest, figures["distinct_ids"]
