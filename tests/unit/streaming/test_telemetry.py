"""One line an event, readable as a log and as metrics; every metric is documented."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stock_pipeline.errors import PermanentError
from stock_pipeline.metrics import METRICS
from stock_pipeline.streaming.batch_report import BatchReport, LakeResult, StateResult
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.producer import ProducerReport
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.telemetry import NAMESPACE, LogEvent, Telemetry

NOW = 2_000_000_000 * 10**9


def batch_report(**changes: Any) -> BatchReport:
    fields: dict[str, Any] = {
        "shard_id": "shardId-000000000000",
        "first_sequence": "1",
        "last_sequence": "9",
        "records": 9,
        "trades": 900,
        "rejected_by_reason": {},
        "median_event_time_ns": NOW - 2 * 10**9,
        "oldest_hundredth_event_time_ns": NOW - 7 * 10**9,
        "lake": LakeResult(objects=1, bytes=4096, duplicates=3, trades=897),
        "states": StateResult(writes=50, conflicts=1, failed_record=None),
        "failed_sequence": None,
    }
    return BatchReport(**{**fields, **changes})


def lines_of(events: Iterable[LogEvent]) -> list[dict[str, Any]]:
    lines: list[str] = []
    Telemetry("service", "dev", lines.append, lambda: NOW).record(events)
    assert all("\n" not in line for line in lines)
    return [json.loads(line) for line in lines]


def metrics_in(line: dict[str, Any]) -> dict[str, Any]:
    """Return what CloudWatch takes from a line, by the rules of the embedded metric format."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    (dimensions,) = directive["Dimensions"]
    assert all(isinstance(line[name], str) for name in dimensions)
    assert line["_aws"]["Timestamp"] == NOW // 10**6
    return {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


def test_a_batch_is_one_line_with_its_place_and_its_metrics() -> None:
    (line,) = lines_of(batch_report().events("request-1", NOW))
    assert (line["level"], line["request_id"], line["shard_id"]) == ("INFO", "request-1", "shardId-000000000000")
    assert (line["first_sequence"], line["last_sequence"]) == ("1", "9")
    found = metrics_in(line)
    assert found["ReceivedTrades"] == 900
    assert (found["EventTimeLagP50"], found["EventTimeLagP99"]) == (2.0, 7.0)
    assert found["UnfinishedBatches"] == 0


def test_rejections_are_counted_by_reason() -> None:
    _, schema, value = lines_of(batch_report(rejected_by_reason={"schema": 2, "value": 1}).events("request-1", NOW))
    assert metrics_in(schema) == {"RejectedRecords": 2}
    assert schema["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Service", "Environment", "Reason"]]
    assert (schema["Reason"], value["Reason"]) == ("schema", "value")


def test_a_batch_without_trades_has_no_lag_an_unfinished_warns() -> None:
    (line,) = lines_of(
        batch_report(
            median_event_time_ns=None,
            oldest_hundredth_event_time_ns=None,
            states=StateResult(50, 1, 3),
            failed_sequence="4",
        ).events("request-1", NOW)
    )
    assert "EventTimeLagP50" not in metrics_in(line)
    assert (line["level"], line["failed_sequence"], line["UnfinishedBatches"]) == ("WARNING", "4", 1)


def test_a_producers_run_tells_errors_by_kind_and_its_end() -> None:
    calls = ProviderCalls()
    calls.request("alpaca")
    calls.error("alpaca", "rate_limited", "alpaca answered 429")
    calls.rate_limit_wait("alpaca", 1.5)
    report = PollReport(12, ProducerReport(5, 4, 1, 2, 0), PermanentError("check the key"))
    run, errors, end = lines_of(report.events(calls, "request-1", True))
    assert metrics_in(run) == {
        "MarketOpen": 1,
        "PublishedTrades": 4,
        "KeptTrades": 1,
        "RefusedRuns": 1,
        "UnfinishedRuns": 0,
        "UnreadablePayloads": 0,
        "ProviderRequests": 1,
        "RateLimitWaitSeconds": 1.5,
    }
    assert (metrics_in(errors), errors["Kind"]) == ({"ProviderErrors": 1}, "rate_limited")
    assert errors["last_error"] == "alpaca answered 429"
    assert (end["level"], end["message"]) == ("ERROR", "check the key")


def test_counts_taken_from_a_provider_that_stays_begin_anew() -> None:
    calls = ProviderCalls()
    calls.error("alpaca", "timeout", "no answer")
    assert calls.taken().errors == {"timeout": 1}
    assert calls.taken() == ProviderCalls()


def test_every_metric_is_documented_with_its_unit() -> None:
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    for metric in METRICS:
        dimension = metric.dimension or "–"
        assert f"| `{metric.name}` | {metric.unit} | {dimension} | {metric.meaning} |" in text
