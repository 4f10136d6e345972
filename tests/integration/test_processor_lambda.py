"""The processor Lambda's handler against AWS services on loopback, and the alarms on what it answers."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.local.lambda_functions import load_handler
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.alarms import alarms, firing
from tests.support.kinesis_events import kinesis_event
from tests.support.trades import trade


@dataclass(frozen=True)
class Context:
    milliseconds: int = 60_000
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


def batch(symbols: int, broken: int = 0) -> dict[str, Any]:
    lines = [encode_trade(trade(n, symbol=f"S{n}", event_id=f"id{n}")) for n in range(symbols)]
    return kinesis_event([*lines, *[b"broken"] * broken], arrived_at=datetime.now(UTC).timestamp())


def first(event: dict[str, Any]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["kinesis"]["sequenceNumber"]}]}


def test_a_healthy_batch_is_no_alarm(stack: LocalStack) -> None:
    log: list[str] = []
    handler, event = load_handler("processor", log.append), batch(20, broken=1)
    assert handler(event, Context()) == {"batchItemFailures": []}
    assert handler(event, Context()) == {"batchItemFailures": []}
    assert [json.loads(line)["LakeTrades"] for line in log if "LakeTrades" in line] == [20, 0]
    assert firing([log[:1]] * 3) == set()


def test_a_table_that_is_gone_is_answered_and_an_alarm(stack: LocalStack) -> None:
    stack.clients.dynamodb.delete_table(TableName=stack.settings.state_table_name)
    log: list[str] = []
    event = batch(20)
    handler = load_handler("processor", log.append)
    assert handler(event, Context()) == first(event)
    assert len(list(stack.wiring.objects.list(RAW_PREFIX))) == 1
    errors = [json.loads(line)["message"] for line in log if json.loads(line)["level"] == "ERROR"]
    assert len(errors) == 1
    assert "the state table refuses" in errors[0]
    assert firing([log] * 2) == set()
    assert firing([log] * 3) == {"processor-unfinished"}


def test_without_time_the_answer_names_the_first_record_and_nothing_is_begun(stack: LocalStack) -> None:
    log: list[str] = []
    event = batch(20)
    assert load_handler("processor", log.append)(event, Context(15_000)) == first(event)
    assert list(stack.wiring.objects.list("")) == []


def test_a_source_whose_clock_is_ahead_is_an_alarm(stack: LocalStack) -> None:
    ahead = trade(1, event_time_ns=4_000_000_000 * 10**9)
    log: list[str] = []
    event = kinesis_event([encode_trade(ahead)] * 3, arrived_at=datetime.now(UTC).timestamp())
    assert load_handler("processor", log.append)(event, Context()) == {"batchItemFailures": []}
    assert firing([log]) == {"rejected-ratio"}


@pytest.mark.parametrize(("environment", "silent"), [("dev", set()), ("prod", {"dagster-silent", "session-overdue"})])
def test_every_alarm_on_what_functions_report_can_be_evaluated(environment: str, silent: set[str]) -> None:
    assert firing([[]] * 3, environment) == silent
    assert set(alarms(environment)) >= {"producer-refused", "kept-trades", "processor-unfinished", "rejected-ratio"}
