"""Queries on Athena: start, wait, read. For small answers; models are dbt's business."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stock_pipeline.errors import PermanentError, RetryableError

POLL_SECONDS = 1.0
POLLS = 120


@dataclass(frozen=True)
class Athena:
    """One workgroup and database. client: boto3's Athena client. wait: pauses for seconds."""

    client: Any
    workgroup: str
    database: str
    wait: Callable[[float], None]

    def rows(self, sql: str) -> list[list[str | None]]:
        """The answer's rows as text, without the heading; the first thousand."""
        execution = self.client.start_query_execution(
            QueryString=sql, WorkGroup=self.workgroup, QueryExecutionContext={"Database": self.database}
        )["QueryExecutionId"]
        self._wait_for(execution)
        results = self.client.get_query_results(QueryExecutionId=execution)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in results[1:]]

    def _wait_for(self, execution: str) -> None:
        for _ in range(POLLS):
            status = self.client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                return
            if status["State"] in ("FAILED", "CANCELLED"):
                reason = status.get("StateChangeReason", "no reason given")
                raise PermanentError(f"Athena's workgroup {self.workgroup} could not run the query: {reason}")
            self.wait(POLL_SECONDS)
        raise RetryableError(f"Athena did not finish query {execution} in time; look at it in the console")
