"""Glue catalog: the lake's tables, and the location of each curated partition."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from stock_pipeline.domain.columns import Column
from stock_pipeline.domain.corporate_action import ACTION_COLUMNS
from stock_pipeline.domain.lake_layout import ACTIONS_PREFIX, CURATED_PREFIX, QUARANTINE_PREFIX, RAW_PREFIX
from stock_pipeline.domain.rejection import REJECTION_COLUMNS
from stock_pipeline.domain.trade import COLUMNS, PARTITION_COLUMNS
from stock_pipeline.errors import IncompatibleSchemaError, RetryableError

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import (
        PartitionErrorTypeDef,
        PartitionInputTypeDef,
        PartitionTypeDef,
        PartitionValueListTypeDef,
        StorageDescriptorTypeDef,
        TableInputTypeDef,
    )

RAW_TABLE = "raw_trades"
UNPUBLISHED_TABLE = "unpublished_trades"
CURATED_TABLE = "trades"
REJECTED_TABLE = "rejected_records"
ACTIONS_TABLE = "corporate_actions"

SCRATCH_PREFIX = "compaction_"

_PARTITIONS_A_CALL = 100
_DELETIONS_A_CALL = 25
_READ_A_CALL = 1000
_EXISTS = "AlreadyExistsException"

_PROJECTED_YEARS = "2026,2035"
"""A new table's years. Few, because Athena lists every day of them for a query without a year; `widen_years` adds."""

_YEARS = "projection.year.range"


@dataclass(frozen=True)
class GlueCatalog:
    """Catalog of one database, whose tables lie in `bucket`."""

    client: "GlueClient"
    database: str
    bucket: str

    def create(self) -> None:
        """Create the database and its tables for the local stack; in an account Terraform does it."""
        self._ignoring("AlreadyExistsException", self.client.create_database, DatabaseInput={"Name": self.database})
        for table in self.table_inputs():
            self._ignoring(
                "AlreadyExistsException", self.client.create_table, DatabaseName=self.database, TableInput=table
            )

    def table_inputs(self) -> "tuple[TableInputTypeDef, ...]":
        """Describe every table of the lake."""
        return (
            self.raw_table_input(),
            self.unpublished_table_input(),
            self.curated_table_input(),
            self.rejected_table_input(),
            self.actions_table_input(),
        )

    def raw_table_input(self) -> "TableInputTypeDef":
        """Describe `raw_trades`, whose partitions follow from their path (projection)."""
        return self._projected(RAW_TABLE, "Trades as they arrived, with repeats.", RAW_PREFIX, COLUMNS)

    def unpublished_table_input(self) -> "TableInputTypeDef":
        """Describe `unpublished_trades`, whose partitions are registered one by one: queries list only those."""
        location = f"s3://{self.bucket}/{RAW_PREFIX}"
        description = "Trades as they arrived, of sessions without a published version."
        return self._table_input(UNPUBLISHED_TABLE, description, location, COLUMNS, {})

    def rejected_table_input(self) -> "TableInputTypeDef":
        """Describe `rejected_records`, the quarantine by date of arrival."""
        return self._projected(
            REJECTED_TABLE, "Lines of the stream that were no trades.", QUARANTINE_PREFIX, REJECTION_COLUMNS
        )

    def curated_table_input(self) -> "TableInputTypeDef":
        """Describe `trades`, whose partitions have the locations of their published versions.

        Projection would make Athena ignore those locations.
        """
        location = f"s3://{self.bucket}/{CURATED_PREFIX}"
        return self._table_input(
            CURATED_TABLE, "Trades once each, sorted, corrections kept as rows.", location, COLUMNS, {}
        )

    def actions_table_input(self) -> "TableInputTypeDef":
        """Describe `corporate_actions`, the log of news; small, so without partitions."""
        location = f"s3://{self.bucket}/{ACTIONS_PREFIX}"
        described = self._table_input(
            ACTIONS_TABLE, "News of splits, dividends and changes of symbol.", location, ACTION_COLUMNS, {}
        )
        return {**described, "PartitionKeys": []}

    def published_location(self, session_date: date) -> str | None:
        try:
            partition = self.client.get_partition(
                DatabaseName=self.database, TableName=CURATED_TABLE, PartitionValues=_values(session_date)
            )["Partition"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "EntityNotFoundException":
                return None
            raise
        return partition["StorageDescriptor"]["Location"]

    def published_locations(self) -> dict[date, str]:
        return {
            _session_date(partition): partition["StorageDescriptor"]["Location"]
            for partition in self._partitions(CURATED_TABLE)
        }

    def published_since(self, sessions: Iterable[date]) -> dict[date, datetime]:
        since: dict[date, datetime] = {}
        for batch in _batches(sorted(sessions), _READ_A_CALL):
            asked: list[PartitionValueListTypeDef] = [{"Values": _values(session_date)} for session_date in batch]
            while asked:
                answer = self.client.batch_get_partition(
                    DatabaseName=self.database, TableName=CURATED_TABLE, PartitionsToGet=asked
                )
                since |= {_session_date(each): each["CreationTime"] for each in answer["Partitions"]}
                asked = [{"Values": each["Values"]} for each in answer.get("UnprocessedKeys", [])]
        return since

    def unpublished_sessions(self) -> frozenset[date]:
        return frozenset(_session_date(partition) for partition in self._partitions(UNPUBLISHED_TABLE))

    def register_unpublished(self, locations: Mapping[date, str]) -> list[str]:
        errors = self._create_partitions(UNPUBLISHED_TABLE, locations)
        return [_text(error) for error in errors if _code(error) != _EXISTS]

    def drop_unpublished(self, sessions: Iterable[date]) -> list[str]:
        failed: list[str] = []
        for batch in _batches(sorted(sessions), _DELETIONS_A_CALL):
            errors = self.client.batch_delete_partition(
                DatabaseName=self.database,
                TableName=UNPUBLISHED_TABLE,
                PartitionsToDelete=[{"Values": _values(session_date)} for session_date in batch],
            ).get("Errors", [])
            failed += [_text(error) for error in errors if _code(error) != "EntityNotFoundException"]
        return failed

    def widen_years(self, first: int, last: int) -> None:
        """Let the projected tables have these years, besides those that they have.

        Terraform leaves the range alone, so that it never hides a year again. A database made by the DDL alone has no
        `rejected_records`.
        """
        shape: Any = self.client.meta.service_model.shape_for("TableInput")
        for name in (RAW_TABLE, REJECTED_TABLE):
            try:
                table: dict[str, Any] = dict(self.client.get_table(DatabaseName=self.database, Name=name)["Table"])
            except self.client.exceptions.EntityNotFoundException:
                continue
            low, high = map(int, table["Parameters"][_YEARS].split(","))
            if low <= first and last <= high:
                continue
            table["Parameters"] |= {_YEARS: f"{min(low, first)},{max(high, last)}"}
            # the table as it is, which may have columns of a newer release
            changed: Any = {key: value for key, value in table.items() if key in shape.members}
            self.client.update_table(DatabaseName=self.database, TableInput=changed)

    def publish(self, session_date: date, location: str) -> None:
        """Point the partition at `location`, by the one call that shows readers the new version."""
        partition: PartitionInputTypeDef = {
            "Values": _values(session_date),
            "StorageDescriptor": _storage(location, COLUMNS),
        }
        if self.published_location(session_date) is None:
            created = self._ignoring(
                "AlreadyExistsException",
                self.client.create_partition,
                DatabaseName=self.database,
                TableName=CURATED_TABLE,
                PartitionInput=partition,
            )
            if created:
                return
        self.client.update_partition(
            DatabaseName=self.database,
            TableName=CURATED_TABLE,
            PartitionValueList=_values(session_date),
            PartitionInput=partition,
        )

    def register(self, locations: Mapping[date, str]) -> int:
        """Create the partitions that are missing, 100 a call, and return their number.

        Others keep their location.
        """
        errors = self._create_partitions(CURATED_TABLE, locations)
        failed = [_text(error) for error in errors if _code(error) != _EXISTS]
        if failed:
            raise RetryableError(f"partitions could not be registered ({'; '.join(failed)}); run again")
        return len(locations) - len(errors)

    def create_scratch(self, name: str, places: Mapping[str, str]) -> None:
        """Create a table of trades over these prefixes, each a partition (`place`)."""
        self._create_scratch(name, next(iter(places.values())), COLUMNS, ["place"])
        self.client.batch_create_partition(
            DatabaseName=self.database,
            TableName=name,
            PartitionInputList=[
                {"Values": [place], "StorageDescriptor": _storage(prefix, COLUMNS)} for place, prefix in places.items()
            ],
        )

    def create_scratch_list(self, name: str, location: str, column: str) -> None:
        """Create a table of texts, one a row, over the Parquet files of a prefix."""
        self._create_scratch(name, location, [Column(column, "string", "")], [])

    def _create_scratch(self, name: str, location: str, columns: Sequence[Column], keys: Sequence[str]) -> None:
        table: TableInputTypeDef = {
            **self._table_input(name, "Scratch of a compaction that is under way.", location, columns, {}),
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
        }
        self.drop_scratch(name)
        self.client.create_table(DatabaseName=self.database, TableInput=table)

    def drop_scratch_before(self, created: datetime) -> None:
        """Drop tables that dead runs left; Athena ends a query after half an hour."""
        pages = self.client.get_paginator("get_tables").paginate(
            DatabaseName=self.database, Expression=f"{SCRATCH_PREFIX}.*"
        )
        old = [
            table["Name"]
            for page in pages
            for table in page["TableList"]
            if table["Name"].startswith(SCRATCH_PREFIX) and table["CreateTime"] < created
        ]
        for name in old:
            self.drop_scratch(name)

    def drop_scratch(self, name: str) -> None:
        self._ignoring("EntityNotFoundException", self.client.delete_table, DatabaseName=self.database, Name=name)

    def evolve(self) -> None:
        """Bring the tables' columns up to this version's.

        Raises `IncompatibleSchemaError` unless columns are only added at the end, so that existing files stay readable.
        """
        for wanted in self.table_inputs():
            table = self.client.get_table(DatabaseName=self.database, Name=wanted["Name"])["Table"]
            present = [(column["Name"], column.get("Type")) for column in table["StorageDescriptor"]["Columns"]]
            columns = [(column["Name"], column.get("Type")) for column in wanted["StorageDescriptor"]["Columns"]]
            if present == columns:
                continue
            if present != columns[: len(present)]:
                raise IncompatibleSchemaError(
                    f"table {wanted['Name']} has columns {present}, which {columns} would change: only add columns, "
                    "and at the end"
                )
            self.client.update_table(DatabaseName=self.database, TableInput=wanted)

    def _partitions(self, table: str) -> "Iterator[PartitionTypeDef]":
        pages = self.client.get_paginator("get_partitions").paginate(
            DatabaseName=self.database, TableName=table, ExcludeColumnSchema=True
        )
        for page in pages:
            yield from page["Partitions"]

    def _create_partitions(self, table: str, locations: Mapping[date, str]) -> "list[PartitionErrorTypeDef]":
        """Create partitions, 100 a call, and return the errors of those that were not created."""
        errors: list[PartitionErrorTypeDef] = []
        for batch in _batches(sorted(locations), _PARTITIONS_A_CALL):
            errors += self.client.batch_create_partition(
                DatabaseName=self.database,
                TableName=table,
                PartitionInputList=[
                    {"Values": _values(session_date), "StorageDescriptor": _storage(locations[session_date], COLUMNS)}
                    for session_date in batch
                ],
            ).get("Errors", [])
        return errors

    def _projected(self, name: str, description: str, prefix: str, columns: Sequence[Column]) -> "TableInputTypeDef":
        location = f"s3://{self.bucket}/{prefix}"
        projection = {
            "projection.enabled": "true",
            "projection.year.type": "integer",
            _YEARS: _PROJECTED_YEARS,
            "projection.month.type": "integer",
            "projection.month.range": "1,12",
            "projection.day.type": "integer",
            "projection.day.range": "1,31",
            "storage.location.template": location + "year=${year}/month=${month}/day=${day}/",
        }
        return self._table_input(name, description, location, columns, projection)

    def _table_input(
        self,
        name: str,
        description: str,
        location: str,
        columns: Sequence[Column],
        parameters: Mapping[str, str],
    ) -> "TableInputTypeDef":
        return {
            "Name": name,
            "Description": description,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE", **parameters},
            "PartitionKeys": [
                {"Name": column.name, "Type": column.sql_type, "Comment": column.description}
                for column in PARTITION_COLUMNS
            ],
            "StorageDescriptor": _storage(location, columns),
        }

    @staticmethod
    def _ignoring(code: str, call: Any, **arguments: Any) -> bool:
        try:
            call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != code:
                raise
            return False
        return True


def _values(session_date: date) -> list[str]:
    return [str(session_date.year), str(session_date.month), str(session_date.day)]


def _session_date(partition: "PartitionTypeDef") -> date:
    return date(*(int(value) for value in partition["Values"]))


def _batches(sessions: Sequence[date], size: int) -> Iterator[Sequence[date]]:
    for start in range(0, len(sessions), size):
        yield sessions[start : start + size]


def _code(error: "PartitionErrorTypeDef") -> str:
    return error.get("ErrorDetail", {}).get("ErrorCode", "")


def _text(error: "PartitionErrorTypeDef") -> str:
    return f"{'-'.join(error.get('PartitionValues', ()))}: {_code(error)}"


def _storage(location: str, columns: Sequence[Column]) -> "StorageDescriptorTypeDef":
    return {
        "Columns": [
            {"Name": column.name, "Type": column.sql_type, "Comment": column.description} for column in columns
        ],
        "Location": location,
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }
