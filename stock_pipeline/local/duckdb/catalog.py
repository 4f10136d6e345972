"""DuckDB in Athena's place: the lake's tables as views over exactly the objects that Athena would read.

- `trades`: the published versions
- `unpublished_trades`: the raw files of registered sessions that were not published when the views were made
- `raw_trades`: the raw zone
- `rejected_records`: the quarantine
- `corporate_actions`: what was learned of splits, dividends and changes of symbol
- `trades$partitions`: the partitions that Glue knows, under Athena's name

Objects are listed when views are made: at every `connect_lake`, and at every dbt command. Models belong to
`dbt_project`, keys to `domain.lake_layout`. dbt-duckdb loads `Plugin` by this module's name, with settings from
`dbt_project/profiles.yml`.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.invocation import get_invocation_id

from stock_pipeline.aws.catalog import (
    ACTIONS_TABLE,
    CURATED_TABLE,
    RAW_TABLE,
    REJECTED_TABLE,
    UNPUBLISHED_TABLE,
    GlueCatalog,
)
from stock_pipeline.domain.columns import Column
from stock_pipeline.domain.compaction_plan import Manifest
from stock_pipeline.domain.corporate_action import ACTION_COLUMNS
from stock_pipeline.domain.lake_layout import (
    ACTIONS_PREFIX,
    CURATED_FILE,
    CURATED_PREFIX,
    MANIFEST_FILE,
    QUARANTINE_PREFIX,
    RAW_PREFIX,
    raw_partition_prefix,
    session_date_of_key,
)
from stock_pipeline.domain.rejection import REJECTION_COLUMNS
from stock_pipeline.domain.trade import COLUMNS, PARTITION_COLUMNS
from stock_pipeline.errors import PermanentError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PARTITIONS_TABLE = f"{CURATED_TABLE}$partitions"

_DUCKDB_TYPES = {"string": "varchar", "int": "integer"}
"""DuckDB's names of types that differ from Hive's."""


@dataclass(frozen=True, slots=True)
class PublishedPartition:
    """A registered partition of `trades`, with the objects that its version has, or should have."""

    session_date: date
    uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LakeFiles:
    """The objects of the lake's tables at one moment."""

    published: tuple[PublishedPartition, ...]
    unpublished_uris: tuple[str, ...]
    raw_uris: tuple[str, ...]
    rejected_uris: tuple[str, ...]
    actions_uris: tuple[str, ...] = ()


def connect_lake(
    connection: duckdb.DuckDBPyConnection,
    session: boto3.Session,
    bucket_name: str,
    database_name: str,
    endpoint_url: str | None = None,
) -> None:
    """Give a writable connection the lake's current tables, beside the models that dbt built.

    Without `endpoint_url` boto3 decides.
    """
    s3 = session.client("s3", endpoint_url=endpoint_url)
    open_object_store(connection, session, s3, bucket_name)
    catalog = GlueCatalog(session.client("glue", endpoint_url=endpoint_url), database_name, bucket_name)
    create_views(connection, find_lake_files(s3, catalog))


def open_object_store(
    connection: duckdb.DuckDBPyConnection, session: boto3.Session, s3: "S3Client", bucket_name: str
) -> None:
    """Let DuckDB read s3://bucket_name/ as boto3 does: same credentials, same endpoint.

    The secret lives as long as the connection's instance and is never written to the file.
    """
    connection.execute(f"load {_literal(str(_httpfs_path()))}")
    credentials = session.get_credentials()
    if credentials is None:
        raise PermanentError("no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
    keys = credentials.get_frozen_credentials()
    options = {
        "key_id": keys.access_key,
        "secret": keys.secret_key,
        "session_token": keys.token,
        "region": s3.meta.region_name,
        "scope": f"s3://{bucket_name}",
    }
    endpoint = urlsplit(s3.meta.endpoint_url)
    if not (endpoint.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        options |= {"endpoint": endpoint.netloc, "url_style": "path"}
    pairs = [f"{name} {_literal(value)}" for name, value in options.items() if value]
    use_ssl = "false" if endpoint.scheme == "http" else "true"
    connection.execute(f"create or replace temporary secret lake (type s3, use_ssl {use_ssl}, {', '.join(pairs)})")


def find_lake_files(s3: "S3Client", catalog: GlueCatalog) -> LakeFiles:
    """List what Glue has published, and the objects in S3: four listings for any number of partitions."""
    # Glue first: a version published later is not seen. The other way round it would be seen without objects.
    locations = _published_locations(catalog)
    unpublished = sorted(_unpublished_sessions(catalog) - locations.keys())
    curated = _by_folder(_data_uris(s3, catalog.bucket, CURATED_PREFIX)) if locations else {}
    raw_uris = _data_uris(s3, catalog.bucket, RAW_PREFIX)
    raw = _by_folder(raw_uris)
    places = [f"s3://{catalog.bucket}/{raw_partition_prefix(session_date)}".rstrip("/") for session_date in unpublished]
    return LakeFiles(
        published=tuple(
            PublishedPartition(session_date, _data_uris_of_version(s3, location, curated.get(location, [])))
            for session_date, location in sorted(locations.items())
        ),
        unpublished_uris=tuple(uri for place in places for uri in raw.get(place, ())),
        raw_uris=tuple(raw_uris),
        # unreadable raw files lie below the same prefix
        rejected_uris=tuple(_data_uris(s3, catalog.bucket, f"{QUARANTINE_PREFIX}year=")),
        actions_uris=tuple(_data_uris(s3, catalog.bucket, ACTIONS_PREFIX)),
    )


def create_views(connection: duckdb.DuckDBPyConnection, files: LakeFiles) -> None:
    """Make or replace the views, all at once. They stay in the database file."""
    curated_uris = [uri for partition in files.published for uri in partition.uris]
    views = {
        CURATED_TABLE: _curated_query(curated_uris),
        UNPUBLISHED_TABLE: _declared_query(files.unpublished_uris, COLUMNS),
        RAW_TABLE: _declared_query(files.raw_uris, COLUMNS),
        REJECTED_TABLE: _declared_query(files.rejected_uris, REJECTION_COLUMNS),
        ACTIONS_TABLE: _declared_query(files.actions_uris, ACTION_COLUMNS, partitioned_by=()),
        PARTITIONS_TABLE: _partitions_query(files.published),
    }
    connection.begin()
    for name, query in views.items():
        connection.execute(f"create or replace view main.{_name(name)} as {query}")
    connection.commit()


class Plugin(BasePlugin):
    """Plugin of dbt-duckdb that connects the lake before the first node of every dbt command."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._bucket_name: str = plugin_config["bucket_name"]
        self._database_name: str = plugin_config["database_name"]
        self._region: str = plugin_config["aws_region"]
        self._lock = threading.Lock()
        self._seen_by: str | None = None

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:  # noqa: ARG002
        Path(creds.path).absolute().parent.mkdir(parents=True, exist_ok=True)

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        # Not configure_connection: a second dbt command in one process keeps the instance, and would keep old views.
        with self._lock:
            if self._seen_by == get_invocation_id():
                return
            session = boto3.Session(region_name=self._region)
            connect_lake(cursor, session, self._bucket_name, self._database_name)
            self._seen_by = get_invocation_id()


def _published_locations(catalog: GlueCatalog) -> Mapping[date, str]:
    try:
        found = catalog.published_locations()
    except catalog.client.exceptions.EntityNotFoundException:
        return {}  # a lake that is still to be set up has nothing published
    locations = {session_date: location.rstrip("/") for session_date, location in found.items()}
    for session_date, location in locations.items():
        _check_location(session_date, location)
    return locations


def _unpublished_sessions(catalog: GlueCatalog) -> frozenset[date]:
    try:
        return catalog.unpublished_sessions()
    except catalog.client.exceptions.EntityNotFoundException:
        return frozenset()


def _check_location(session_date: date, location: str) -> None:
    """Check that path and Glue agree: DuckDB takes the date from one, Athena from the other."""
    try:
        agrees = session_date_of_key(location + "/") == session_date
    except ValueError:
        agrees = False
    if not agrees:
        raise PermanentError(
            f"partition {session_date} of {CURATED_TABLE} lies at {location}, which is not a path of that day: "
            "publish the partition again"
        )


def _data_uris(s3: "S3Client", bucket_name: str, prefix: str) -> list[str]:
    """Return every object that Athena reads as data: no name begins with underscore or dot."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket_name, Prefix=prefix)
    keys = (item["Key"] for page in pages for item in page.get("Contents", ()) if item["Size"])
    return sorted(f"s3://{bucket_name}/{key}" for key in keys if key.rpartition("/")[2][:1] not in ("_", "."))


def _data_uris_of_version(s3: "S3Client", location: str, found: Sequence[str]) -> tuple[str, ...]:
    """Return the objects that a version must have, so that a query fails by the name of a missing one.

    The local engine's versions have one object; those of Athena are named by their manifest.
    """
    ours = f"{location}/{CURATED_FILE}"
    if ours in found or not found:
        return (ours,)
    bucket = urlsplit(location)
    try:
        body = s3.get_object(Bucket=bucket.netloc, Key=f"{bucket.path[1:]}/{MANIFEST_FILE}")["Body"].read()
        manifest = Manifest.from_json(body)
    except (s3.exceptions.NoSuchKey, ValueError):
        return tuple(found)
    return tuple(f"s3://{bucket.netloc}/{key}" for key in manifest.data_keys)


def _by_folder(uris: Iterable[str]) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = {}
    for uri in uris:
        folders.setdefault(uri.rpartition("/")[0], []).append(uri)
    return folders


def _declared_query(
    uris: Sequence[str],
    in_files: tuple[Column, ...],
    times: str = "timestamptz",
    partitioned_by: tuple[Column, ...] = PARTITION_COLUMNS,
) -> str:
    """Read files with the table's columns as their schema, whatever columns they have.

    With the files' own, DuckDB opens the first one when the view is made, and a broken or missing one fails every
    query. This way it fails the queries that read it.

    times: the type of times in the files; in ours they are marked as UTC.
    """
    if not uris:
        return _no_rows((*in_files, *partitioned_by))
    schema = ", ".join(
        f"{_literal(column.name)}: {{name: {_literal(column.name)}, "
        f"type: {_literal(times if column.sql_type == 'timestamp' else _type(column))}, "
        f"default_value: {_default(column)}}}"
        for column in in_files
    )
    # Hive partitions can't be had with a schema. A filter on these expressions passes over files just as well.
    partitions = [
        rf"cast(regexp_extract(filename, '/{column.name}=(\d+)/', 1) as {_type(column)}) as {_name(column.name)}"
        for column in partitioned_by
    ]
    return (
        f"select {', '.join([*map(_column, in_files), *partitions])} from read_parquet("
        f"[{', '.join(map(_literal, uris))}], hive_partitioning = false, filename = true, schema = map {{{schema}}})"
    )


def _curated_query(uris: Sequence[str]) -> str:
    """Query the files of both engines apart: times of one have a zone, of the other none.

    `read_parquet` would take one type for all, by way of the session's zone.
    """
    ours = [uri for uri in uris if uri.rpartition("/")[2] == CURATED_FILE]
    athenas = [uri for uri in uris if uri.rpartition("/")[2] != CURATED_FILE]
    queries = [_declared_query(some, COLUMNS, kind) for some, kind in ((ours, "timestamptz"), (athenas, "timestamp"))]
    return " union all ".join(query for query, some in zip(queries, (ours, athenas), strict=True) if some) or queries[0]


def _partitions_query(published: Iterable[PublishedPartition]) -> str:
    days = [partition.session_date for partition in published]
    if not days:
        return _no_rows(PARTITION_COLUMNS)
    rows = ", ".join(f"({day.year}, {day.month}, {day.day})" for day in days)
    return f"select year, month, day from (values {rows}) as partitions (year, month, day)"


def _no_rows(columns: Iterable[Column]) -> str:
    typed = ", ".join(f"cast(null as {_type(column)}) as {_name(column.name)}" for column in columns)
    return f"select {typed} where false"


def _column(column: Column) -> str:
    if column.sql_type == "timestamp":
        # Parquet may say "UTC", which DuckDB shows in the session's zone. Athena shows UTC without a zone.
        return f"make_timestamp(epoch_us({_name(column.name)})) as {_name(column.name)}"
    return _name(column.name)


def _httpfs_path() -> Path:
    """Return the extension inside its wheel, because DuckDB would otherwise download it."""
    package = find_spec("duckdb_extension_httpfs")
    if package is None or not package.submodule_search_locations:
        raise PermanentError("the package duckdb-extension-httpfs is not installed: install the extra `local`")
    folder = Path(package.submodule_search_locations[0]) / "extensions" / f"v{duckdb.__version__}"
    path = folder / "httpfs.duckdb_extension"
    if not path.is_file():
        raise PermanentError(f"duckdb-extension-httpfs is not of DuckDB {duckdb.__version__}: install that version")
    return path


def _type(column: Column) -> str:
    return _DUCKDB_TYPES.get(column.sql_type, column.sql_type)


def _default(column: Column) -> str:
    return _literal(column.default) if isinstance(column.default, str) else str(column.default or "null")


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
