"""Athena's calls and answers, in the forms that botocore's model of the API allows."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from stock_pipeline.aws.athena import POLLS, Athena
from stock_pipeline.errors import PermanentError, RetryableError

SQL = "SELECT count(*) FROM raw_trades"


@pytest.fixture
def client() -> Any:
    return boto3.client("athena", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


def stubbed(client: Any, *statuses: dict[str, str]) -> Stubber:
    stubber = Stubber(client)
    request = {"QueryString": SQL, "WorkGroup": "group", "QueryExecutionContext": {"Database": "stock_market"}}
    stubber.add_response("start_query_execution", {"QueryExecutionId": "id-1"}, request)
    for status in statuses:
        stubber.add_response(
            "get_query_execution", {"QueryExecution": {"Status": status}}, {"QueryExecutionId": "id-1"}
        )
    return stubber


def test_an_answer_is_read_when_the_query_has_finished(client: Any) -> None:
    waited: list[float] = []
    with stubbed(client, {"State": "QUEUED"}, {"State": "RUNNING"}, {"State": "SUCCEEDED"}) as stubber:
        rows = [{"Data": [{"VarCharValue": "_col0"}]}, {"Data": [{"VarCharValue": "1"}]}, {"Data": [{}]}]
        metadata = {"ColumnInfo": [{"Name": "_col0", "Type": "bigint"}]}
        page = {"ResultSet": {"Rows": rows, "ResultSetMetadata": metadata}}
        stubber.add_response("get_query_results", page, {"QueryExecutionId": "id-1"})
        assert Athena(client, "group", "stock_market", waited.append).query(SQL).rows == [(1,), (None,)]
        stubber.assert_no_pending_responses()
    assert len(waited) == 2


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_query_that_fails_says_why(client: Any, state: str) -> None:
    status = {"State": state, "StateChangeReason": "Query exhausted the scan limit"}
    with stubbed(client, status), pytest.raises(PermanentError, match="scan limit"):
        Athena(client, "group", "stock_market", lambda _: None).query(SQL)


def test_a_query_that_never_ends_is_left(client: Any) -> None:
    with stubbed(client, *[{"State": "RUNNING"}] * POLLS), pytest.raises(RetryableError, match="id-1"):
        Athena(client, "group", "stock_market", lambda _: None).query(SQL)
