"""Queries on Athena: start, wait, read, and count bytes scanned. What is asked belongs to the callers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from stock_pipeline.errors import QueryFailedError, RetryableError

if TYPE_CHECKING:
    import pyarrow as pa
    from mypy_boto3_athena.client import AthenaClient

DOLLARS_PER_TERABYTE = Decimal(5)
SMALLEST_CHARGE_BYTES = 10 * 1024**2
"""Athena charges each statement for ten megabytes at least."""

POLLS = 120
"""Polls before an answer is given up: four minutes."""

LONGEST_POLLS = 1_000
"""Polls that take longer than the half hour that Athena gives a query."""

RESULTS_PREFIX = "athena-results/"
"""Place of answers in the lake's bucket, if the workgroup names none."""

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 2.0


class Answer(NamedTuple):
    """Rows and the names of their columns.

    bytes_scanned: None if the engine does not say.
    types: the engine's types of the columns; without them the values' own are taken.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    bytes_scanned: int | None
    types: "tuple[pa.DataType, ...]" = ()

    def table(self) -> "pa.Table":
        """Return the answer as an Arrow table, whose types don't depend on the values."""
        import pyarrow as pa

        values = list(zip(*self.rows, strict=True)) or [() for _ in self.columns]
        types = self.types or (None,) * len(self.columns)
        arrays = [pa.array(list(column), type=kind) for column, kind in zip(values, types, strict=True)]
        return pa.table(arrays, names=list(self.columns))


def cost_dollars(bytes_scanned: int) -> Decimal:
    """Return the list price of a statement in most regions; provisioned capacity has another."""
    charged = max(bytes_scanned, SMALLEST_CHARGE_BYTES)
    return Decimal(charged) * DOLLARS_PER_TERABYTE / Decimal(1024**4)


@dataclass(frozen=True)
class Athena:
    """One workgroup and database.

    wait: pauses for seconds
    output: place of answers if the workgroup names none
    """

    client: "AthenaClient"
    workgroup: str
    database: str
    wait: Callable[[float], None]
    output: str | None = None
    polls: int = POLLS

    def query(self, sql: str) -> Answer:
        """Return the whole answer with typed values."""
        query_id, bytes_scanned = self._finished(sql)
        return self._answer(query_id, bytes_scanned)

    def run(self, sql: str) -> int:
        """Run a statement without an answer, and return the bytes scanned."""
        return self._finished(sql)[1]

    def bytes_scanned_cutoff(self) -> int | None:
        """Return how many bytes the workgroup lets a query read, or None for any number."""
        found = self.client.get_work_group(WorkGroup=self.workgroup)["WorkGroup"]
        return found.get("Configuration", {}).get("BytesScannedCutoffPerQuery")

    def _finished(self, sql: str) -> tuple[str, int]:
        query_id = self._start(sql)
        try:
            return query_id, self._until_done(query_id)
        except KeyboardInterrupt:
            self.client.stop_query_execution(QueryExecutionId=query_id)
            raise

    def _start(self, sql: str) -> str:
        where: Any = {"ResultConfiguration": {"OutputLocation": self.output}} if self.output else {}
        return self.client.start_query_execution(
            QueryString=sql, WorkGroup=self.workgroup, QueryExecutionContext={"Database": self.database}, **where
        )["QueryExecutionId"]

    def _until_done(self, query_id: str) -> int:
        """Wait for the end, and return the bytes scanned."""
        seconds = _FIRST_WAIT_SECONDS
        for _ in range(self.polls):
            execution = self.client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            status = execution.get("Status", {})
            if status.get("State") == "SUCCEEDED":
                return int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
            if status.get("State") in ("FAILED", "CANCELLED"):
                reason = status.get("StateChangeReason", "no reason given")
                raise QueryFailedError(f"Athena's workgroup {self.workgroup} could not run the query: {reason}")
            self.wait(seconds)
            seconds = min(2 * seconds, _LONGEST_WAIT_SECONDS)
        raise RetryableError(f"Athena did not finish query {query_id} in time; look at it in the console")

    def _answer(self, query_id: str, bytes_scanned: int) -> Answer:
        columns: list[tuple[str, str]] = []
        types: tuple[pa.DataType, ...] = ()
        rows: list[tuple[Any, ...]] = []
        for page in self._pages(query_id):
            if not columns:
                infos = page["ResultSetMetadata"].get("ColumnInfo", [])
                columns = [(info["Name"], info["Type"]) for info in infos]
                types = tuple(map(_arrow_type, infos))
                found = page["Rows"][1:] if _has_header(page["Rows"], columns) else page["Rows"]
            else:
                found = page["Rows"]
            rows.extend(
                tuple(
                    _value(cell.get("VarCharValue"), kind) for cell, (_, kind) in zip(row["Data"], columns, strict=True)
                )
                for row in found
            )
        return Answer(tuple(name for name, _ in columns), rows, bytes_scanned, types)

    def _pages(self, query_id: str) -> Iterator[Any]:
        for page in self.client.get_paginator("get_query_results").paginate(QueryExecutionId=query_id):
            yield page["ResultSet"]


def _has_header(rows: list[Any], columns: list[tuple[str, str]]) -> bool:
    """Tell a SELECT's rows, which begin with the columns' names, from those of SHOW and DESCRIBE."""
    return bool(rows) and [cell.get("VarCharValue") for cell in rows[0]["Data"]] == [name for name, _ in columns]


_PARSERS: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: text == "true",
    "tinyint": int,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "float": float,
    "real": float,
    "double": float,
    "decimal": Decimal,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}


def _arrow_type(info: Any) -> "pa.DataType":
    """Return the Arrow type of a column's metadata; text for what is no single value."""
    import pyarrow as pa

    simple = {
        "boolean": pa.bool_(),
        "tinyint": pa.int8(),
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "real": pa.float32(),
        "double": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }
    if info["Type"] == "decimal":
        return pa.decimal128(info.get("Precision", 38), info.get("Scale", 0))
    return simple.get(info["Type"], pa.string())


def _value(text: str | None, kind: str) -> Any:
    return None if text is None else _PARSERS.get(kind, str)(text)
