"""Compaction by Athena: it unloads the winning rows to a version's prefix, and counts them there by another query.

`UNLOAD` writes several files at once under its own names, each sorted, but not among each other. Its target must be
empty; objects of a failed one stay (Athena User Guide, "UNLOAD"). Planning and publishing belong to `lake`.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stock_pipeline.aws.athena import Athena
from stock_pipeline.aws.athena_ddl import BEST_ROW_FIRST
from stock_pipeline.aws.catalog import SCRATCH_PREFIX, GlueCatalog
from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import raw_partition_prefix
from stock_pipeline.domain.session import session_bounds_ns
from stock_pipeline.domain.sql_compaction import SqlCompaction, SqlResult
from stock_pipeline.domain.trade import COLUMNS, LAKE_ORDER, NULLABLE_COLUMN
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import PermanentError, QueryFailedError

MOST_SQL_BYTES = 262_144
"""Athena's limit of a statement (Athena User Guide, "Service Quotas")."""

BASE, RAW, WRITTEN = "base", "raw", "written"

_FORGOTTEN = timedelta(days=1)

_KEY_END = "-0123456789abcdef.parquet"
_HASH_AT = len("0123456789abcdef.parquet")

_NAMES = ", ".join(column.name for column in COLUMNS)
_ORDER = ", ".join(LAKE_ORDER)
_NOT_HASHED = ("event_time", "ingest_time", "session_date")
"""Ingest time, and columns that follow from others; as in `lake.row_hash`."""


@dataclass(frozen=True)
class AthenaEngine:
    athena: Athena
    catalog: GlueCatalog
    now: Callable[[], datetime]

    def new_attempt(self) -> str:
        return uuid.uuid4().hex

    def find_unreadable(self, work: SqlCompaction) -> dict[InputFile, str]:
        """Return files with rows of other sessions, or the file that ended the query."""
        by_uri = {self._uri(file.key): file for file in work.files}
        with self._scratch(work) as table:
            try:
                answer = self.athena.query(checked(strangers(table, self._uris(work.unreadable), work)))
            except QueryFailedError as error:
                # Athena names only the file that it could not read, and not for every reason
                named = {file: str(error) for uri, file in by_uri.items() if uri in str(error)}
                if not named:
                    raise
                return named
        reasons = {uri: f"{count} rows are not trades of session {work.session_date}" for uri, count in answer.rows}
        return {by_uri[uri]: reason for uri, reason in reasons.items() if uri in by_uri}

    def write(self, work: SqlCompaction) -> SqlResult:
        with self._scratch(work) as table:
            source = inputs(table, work, self._uris(work.unreadable))
            rows_in, expected, _ = _read(self.athena.query(checked(expected_figures(source))).rows[0])
            self.athena.run(checked(unload_statement(source, self._uri(work.target.prefix))))
            _, found, distinct_ids = _read(self.athena.query(found_figures(table)).rows[0])
        return SqlResult(rows_in, expected, found, distinct_ids)

    @contextmanager
    def _scratch(self, work: SqlCompaction) -> Iterator[str]:
        """Create a table over base, raw files and target, for as long as the context lasts."""
        self.catalog.drop_scratch_before(self.now() - _FORGOTTEN)
        name = f"{SCRATCH_PREFIX}{work.target.version}"
        places = {RAW: raw_partition_prefix(work.session_date), WRITTEN: work.target.prefix}
        if work.base is not None:
            places[BASE] = work.base.prefix
        self.catalog.create_scratch(name, {place: self._uri(prefix) for place, prefix in places.items()})
        try:
            yield f"{self.catalog.database}.{name}"
        finally:
            self.catalog.drop_scratch(name)

    def _uri(self, key: str) -> str:
        return f"s3://{self.catalog.bucket}/{key}"

    def _uris(self, files: Iterable[InputFile]) -> list[str]:
        return [self._uri(file.key) for file in files]


def checked(sql: str) -> str:
    if len(sql.encode()) > MOST_SQL_BYTES:
        raise PermanentError(
            f"the statement that names all raw files has {len(sql.encode()):,} bytes, Athena takes {MOST_SQL_BYTES:,}: "
            "set ATHENA_COMPACTION_MEGABYTES higher, so that this machine compacts the session"
        )
    return sql


def inputs(table: str, work: SqlCompaction, unreadable: Iterable[str]) -> str:
    """Return a query of all input rows: the base, and exactly the raw files of the plan."""
    raw = f"SELECT {_NAMES} FROM {table} WHERE {_of_plan(work, unreadable)}"
    if work.base is None:
        return raw
    return f"SELECT {_NAMES} FROM {table} WHERE place = '{BASE}' UNION ALL {raw}"


def strangers(table: str, unreadable: Iterable[str], work: SqlCompaction) -> str:
    """Return a query that counts rows that can't be of the session, by file. It reads every column, because a file that
    Athena can't read must end it.
    """
    start_ns, end_ns = session_bounds_ns(work.session_date)
    nulls = " OR ".join(f"{column.name} IS NULL" for column in COLUMNS if column.name != NULLABLE_COLUMN)
    milliseconds = "date_diff('millisecond', timestamp '1970-01-01 00:00:00', event_time)"
    return (
        f'SELECT "$path" AS path, count(*) AS strangers FROM {table} WHERE {_of_plan(work, unreadable)} AND ({nulls} '
        f"OR volume < 0 OR session_date <> date '{work.session_date}' "
        f"OR event_time_ns < {start_ns} OR event_time_ns >= {end_ns} "
        f"OR abs({milliseconds} - event_time_ns / 1000000) > 1) "  # Athena rounds times to milliseconds
        'GROUP BY "$path"'
    )


def unload_statement(source: str, target: str) -> str:
    return (
        f"UNLOAD ({_winning_rows(source)} SELECT {_NAMES} FROM standing ORDER BY {_ORDER}) "
        f"TO '{target}' WITH (format = 'PARQUET', compression = 'ZSTD')"
    )


def expected_figures(source: str) -> str:
    """Return a query of the rows read, and of the figures that the written rows must have.

    Ids are counted and hashed from the inputs as they are. Only the choice of winning rows is the same rule.
    """
    return (
        f"{_winning_rows(source)}, ids AS (SELECT DISTINCT event_id FROM source), "
        f"of_ids AS (SELECT count(*) AS trades, sum({_hash('event_id')}) AS ids_hash FROM ids), "
        f"of_rows AS (SELECT {_figures()} FROM standing) "
        "SELECT (SELECT count(*) FROM source) AS rows_in, of_ids.trades AS trades, of_ids.trades AS distinct_ids, "
        "of_ids.ids_hash AS ids_hash, of_rows.volume AS volume, of_rows.rows_hash AS rows_hash, "
        "of_rows.earliest AS earliest, of_rows.latest AS latest FROM of_ids CROSS JOIN of_rows"
    )


def found_figures(table: str) -> str:
    return (
        "SELECT 0 AS rows_in, count(*) AS trades, count(DISTINCT event_id) AS distinct_ids, "
        f"sum({_hash('event_id')}) AS ids_hash, {_figures()} FROM {table} WHERE place = '{WRITTEN}'"
    )


def _figures() -> str:
    return (
        f"coalesce(sum(cast(volume AS decimal(38, 0))), 0) AS volume, sum({_hash(_content())}) AS rows_hash, "
        "min(event_time_ns) AS earliest, max(event_time_ns) AS latest"
    )


def _winning_rows(source: str) -> str:
    ranking = f"row_number() OVER (PARTITION BY event_id ORDER BY {', '.join(BEST_ROW_FIRST)})"
    return (
        f"WITH source AS ({source}), ranked AS (SELECT {_NAMES}, {ranking} AS rank_of_id FROM source), "
        f"standing AS (SELECT {_NAMES} FROM ranked WHERE rank_of_id = 1)"
    )


def _of_plan(work: SqlCompaction, unreadable: Iterable[str]) -> str:
    """Return the condition for raw files of the plan, by the hashes at the ends of their keys.

    Whole keys of a large session do not fit into a statement; eight digits do. A file that comes meanwhile and shares
    them by chance only brings its trades early.
    """
    hashes = sorted(f"'{_hash_of(file.key)[:8]}'" for file in work.files)
    conditions = [f"place = '{RAW}'", f'substr("$path", -{_HASH_AT}, 8) IN ({", ".join(hashes)})']
    # by the whole path, so that Athena does not open them
    excluded = ", ".join(f"'{uri}'" for uri in unreadable)
    return " AND ".join([*conditions, *([f'"$path" NOT IN ({excluded})'] if excluded else [])])


def _hash_of(key: str) -> str:
    match = re.fullmatch(r".*-([0-9a-f]{16})\.parquet", key)
    if match is None:
        raise PermanentError(f"{key} does not end like a raw file ({_KEY_END}): move it out of the raw zone")
    return match.group(1)


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
    names = ("rows_in", "trades", "distinct_ids", "ids_hash", "volume", "rows_hash", "earliest", "latest")
    figures: Mapping[str, Any] = {
        name: None if value is None else int(value) for name, value in zip(names, row, strict=True)
    }
    digest = TradesDigest(
        rows=figures["trades"],
        volume=figures["volume"],
        ids_hash=(figures["ids_hash"] or 0) % 2**64,
        rows_hash=(figures["rows_hash"] or 0) % 2**64,
        min_event_time_ns=figures["earliest"],
        max_event_time_ns=figures["latest"],
    )
    return figures["rows_in"], digest, figures["distinct_ids"]
