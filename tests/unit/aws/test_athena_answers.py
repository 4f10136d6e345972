"""Athena's answers as a service stub gives them: typed, over pages, refused, and what they cost."""

from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from stock_pipeline.aws.athena import Athena, cost_dollars
from stock_pipeline.errors import PermanentError


def test_athenas_types_are_those_of_its_metadata() -> None:
    infos = [
        {"Name": "close", "Type": "decimal", "Precision": 18, "Scale": 6},
        {"Name": "n", "Type": "bigint"},
        {"Name": "at", "Type": "timestamp"},
        {"Name": "parts", "Type": "array"},
    ]
    client = boto3.client("athena", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("start_query_execution", {"QueryExecutionId": "q" * 8})
        done = {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}
        stub.add_response("get_query_execution", done)
        header: Any = [{"VarCharValue": info["Name"]} for info in infos]
        stub.add_response(
            "get_query_results",
            {"ResultSet": {"Rows": [{"Data": header}], "ResultSetMetadata": {"ColumnInfo": infos}}},
        )
        answer = Athena(client, "primary", "stock_market", wait=lambda _: None).query("SELECT")
    assert [str(kind) for kind in answer.table().schema.types] == [
        "decimal128(18, 6)",
        "int64",
        "timestamp[us]",
        "string",
    ]


def column(name: str, kind: str) -> dict[str, str]:
    return {"Name": name, "Type": kind}


def row(*cells: str | None) -> dict[str, Any]:
    return {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in cells]}


def stubbed(state: str) -> tuple[Athena, Stubber, list[float]]:
    client = boto3.client("athena", "us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    stub = Stubber(client)
    stub.add_response("start_query_execution", {"QueryExecutionId": "q-1"})
    for each in ("QUEUED", "RUNNING", state):
        execution = {
            "Status": {"State": each, "StateChangeReason": "line 1:8: mismatched input"},
            "Statistics": {"DataScannedInBytes": 2 * 1024**4},
        }
        stub.add_response("get_query_execution", {"QueryExecution": execution})
    waits: list[float] = []
    return Athena(client, "primary", "stock_market", waits.append, "s3://bucket/athena-results/"), stub, waits


def test_athena_answers_with_typed_values_over_several_pages() -> None:
    athena, stub, waits = stubbed("SUCCEEDED")
    columns = [column("symbol", "varchar"), column("close", "decimal"), column("volume", "bigint")]
    metadata = {"ColumnInfo": columns}
    header = row("symbol", "close", "volume")
    first = {"ResultSet": {"Rows": [header, row("XXX", "157.040000", "5108362")], "ResultSetMetadata": metadata}}
    # a row that looks like the header is one on every page but the first
    second = {"ResultSet": {"Rows": [row("YYY", None, "0")], "ResultSetMetadata": metadata}}
    stub.add_response("get_query_results", {**first, "NextToken": "more"})
    stub.add_response("get_query_results", second)
    with stub:
        answer = athena.query("SELECT 1")
    assert answer.columns == ("symbol", "close", "volume")
    assert answer.rows == [("XXX", Decimal("157.040000"), 5108362), ("YYY", None, 0)]
    assert answer.bytes_scanned == 2 * 1024**4
    assert waits == [0.1, 0.2]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_failed_athena_query_says_why(state: str) -> None:
    athena, stub, _ = stubbed(state)
    with stub, pytest.raises(PermanentError, match="mismatched input"):
        athena.query("SELEC 1")


def test_a_query_costs_five_dollars_a_terabyte_from_ten_mb_on() -> None:
    assert cost_dollars(2 * 1024**4) == 10
    assert cost_dollars(0) == cost_dollars(10 * 1024**2) == Decimal(50) / 1024**2
