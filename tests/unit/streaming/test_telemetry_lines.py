"""The lines that the use cases write, byte for byte: alarms, dashboard and log queries read them."""

from pathlib import Path

from stock_pipeline.errors import PermanentError
from stock_pipeline.redrive.report import Outcome, RedriveReport
from stock_pipeline.streaming.batch_report import BatchReport, LakeResult, StateResult
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.producer import ProducerReport
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.telemetry import Telemetry

LINES = Path(__file__).parents[2] / "data" / "telemetry"
NOW = 2_000_000_000 * 10**9 + 123_456_789
REQUEST = "request-1"


def telemetry(service: str, lines: list[str]) -> Telemetry:
    return Telemetry(service, "dev", lines.append, lambda: NOW)


def written(name: str) -> list[str]:
    return (LINES / f"{name}.jsonl").read_text().splitlines()


def batch_report(
    rejected: dict[str, int], times: tuple[int | None, int | None], failed_record: int | None
) -> BatchReport:
    return BatchReport(
        shard_id="shardId-000000000003",
        first_sequence="101",
        last_sequence="109",
        records=9,
        trades=900,
        rejected_by_reason=rejected,
        median_event_time_ns=times[0],
        oldest_hundredth_event_time_ns=times[1],
        lake=LakeResult(objects=1, bytes=4096, duplicates=3, trades=897),
        states=StateResult(writes=50, conflicts=1, failed_record=failed_record),
        failed_sequence=None if failed_record is None else "104",
    )


def test_the_processor_writes_these_lines() -> None:
    lines: list[str] = []
    for report in (
        batch_report({}, (NOW - 2 * 10**9, NOW - 7_654_321_000), None),
        batch_report({"schema": 2, "value": 1}, (NOW - 1, NOW - 10**12), None),
        batch_report({"not_json": 9}, (None, None), 3),
    ):
        telemetry("processor", lines).record(report.events(REQUEST, NOW))
    assert lines == written("processor")


def test_the_producer_writes_these_lines() -> None:
    lines: list[str] = []
    calls = ProviderCalls()
    telemetry("stream", lines).record(PollReport(0, ProducerReport(0, 0, 0, 0, 0), None).events(calls, "", False))
    telemetry("producer", lines).record(
        PollReport(12, ProducerReport(5, 5, 0, 2, 0), None).events(calls, REQUEST, True)
    )
    calls.request("alpaca")
    calls.error("alpaca", "rate_limited", "alpaca answered 429 (slow down)")
    calls.error("alpaca", "timeout", "alpaca did not answer in time")
    calls.error("alpaca", "rate_limited", "alpaca answered 429 (too many requests)")
    calls.rate_limit_wait("alpaca", 1.23456)
    report = PollReport(12, ProducerReport(5, 4, 1, 2, 3), PermanentError("check the key – „now“"))
    telemetry("producer", lines).record(report.events(calls, REQUEST, True))
    assert lines == written("producer")


def test_redrive_writes_these_lines() -> None:
    lines: list[str] = []
    outcomes = (
        Outcome("one", 1, "published", "", 20, 1),
        Outcome("two", 2, "left", "the line is still no trade", 0, 0),
        Outcome("three", 5, "parked", "the line is still no trade, 5 times", 0, 0),
        Outcome("four", 1, "published", "", 3, 0),
        Outcome("five", 1, "expired", "the stream keeps the 3 records of shardId-0 no longer", 0, 0),
    )
    telemetry("redrive", lines).record(RedriveReport(()).events(REQUEST))
    telemetry("redrive", lines).record(RedriveReport(outcomes).events(REQUEST))
    assert lines == written("redrive")


def test_a_line_without_metrics_is_a_log_line_only() -> None:
    lines: list[str] = []
    telemetry("producer", lines).log("ERROR", "check the key", request_id=REQUEST)
    assert lines == written("log")
