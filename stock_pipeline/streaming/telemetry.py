"""Logs and metrics of the Lambdas: one JSON line an event, which CloudWatch reads as a log and, where it has numbers,
as metrics too (embedded metric format, EMF: Amazon CloudWatch User Guide, "Specification: Embedded metric format").

`METRICS` is the list that docs/metrics.md, the alarms and the dashboard are held against. What is worth measuring is
said by the use cases' reports; nothing here decides. Values that came from outside go into fields, never into names.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    # names only: the processor brings pyarrow, which the producer's and redrive's packages do without
    from stock_pipeline.redrive.redrive import RedriveReport
    from stock_pipeline.streaming.poll_loop import PollReport
    from stock_pipeline.streaming.processor import BatchReport
    from stock_pipeline.streaming.provider_calls import ProviderCalls

NAMESPACE = "StockPipeline"


class Metric(NamedTuple):
    """A metric's name, CloudWatch unit, extra dimension (None: only Service and Environment), and meaning."""

    name: str
    unit: str
    dimension: str | None
    meaning: str


METRICS: tuple[Metric, ...] = (
    Metric("ReceivedRecords", "Count", None, "Kinesis records that the processor was handed."),
    Metric("ReceivedTrades", "Count", None, "Trades in them, repeats included."),
    Metric("RejectedRecords", "Count", "Reason", "Lines that were no trades, by reason."),
    Metric("DuplicateTrades", "Count", None, "Repeats within a batch, and trades of a batch that was written before."),
    Metric("StateWrites", "Count", None, "Items written to the realtime table."),
    Metric("StateConflicts", "Count", None, "State writes that somebody else was quicker for, tried again."),
    Metric("LakeObjects", "Count", None, "Raw files written."),
    Metric("LakeBytes", "Bytes", None, "Size of the raw files written."),
    Metric("EventTimeLagP50", "Seconds", None, "Median age of a batch's trades when it was finished, by venue time."),
    Metric("EventTimeLagP99", "Seconds", None, "Age that one trade in a hundred of a batch exceeds."),
    Metric("UnfinishedBatches", "Count", None, "Batches that Lambda delivers again from some record on."),
    Metric("PublishedTrades", "Count", None, "Trades that the producer put into the stream."),
    Metric("KeptTrades", "Count", None, "Trades that the stream refused until the deadline, kept in failed/."),
    Metric("UnreadablePayloads", "Count", None, "Pieces of the provider's answers that were no trades."),
    Metric("ProviderRequests", "Count", None, "Calls to the price API."),
    Metric("ProviderErrors", "Count", "Kind", "Failed calls to the price API, by kind of error."),
    Metric(
        "RedrivenMessages", "Count", "Outcome", "Messages of the dead-letter queue: published, parked, left or expired."
    ),
    Metric("RedrivenLines", "Count", None, "Lines that redrive put into the stream again."),
    Metric("RateLimitWaitSeconds", "Seconds", None, "Time spent waiting for the key's budget."),
)

_UNITS = {metric.name: metric.unit for metric in METRICS}


@dataclass(frozen=True)
class Telemetry:
    """Writes lines for one service (processor, producer, redrive) of one environment.

    write: takes a line without its end; stdout in a Lambda. now_ns: nanoseconds since 1970 UTC.
    """

    service: str
    environment: str
    write: Callable[[str], None]
    now_ns: Callable[[], int]

    def log(self, level: str, message: str, **fields: Any) -> None:
        """A line without metrics."""
        self._line(level, message, {}, {}, fields)

    def batch_processed(self, report: "BatchReport", request_id: str) -> None:
        """What one batch came to: one line, and one more for each reason of rejection."""
        values: dict[str, float] = {
            "ReceivedRecords": report.records,
            "ReceivedTrades": report.trades,
            "DuplicateTrades": report.duplicates,
            "StateWrites": report.state_writes,
            "StateConflicts": report.state_conflicts,
            "LakeObjects": report.lake_objects,
            "LakeBytes": report.lake_bytes,
            "UnfinishedBatches": int(report.failed_sequence is not None),
        }
        for name, event_time_ns in (
            ("EventTimeLagP50", report.median_event_time_ns),
            ("EventTimeLagP99", report.oldest_hundredth_event_time_ns),
        ):
            if event_time_ns is not None:
                values[name] = round((self.now_ns() - event_time_ns) / 1e9, 3)
        level = "WARNING" if report.failed_sequence is not None or report.rejected else "INFO"
        place = {
            "request_id": request_id,
            "shard_id": report.shard_id,
            "first_sequence": report.first_sequence,
            "last_sequence": report.last_sequence,
            "failed_sequence": report.failed_sequence,
        }
        self._line(level, "batch processed", values, {}, place)
        for reason, count in report.rejected_by_reason.items():
            self._line("WARNING", "lines rejected", {"RejectedRecords": count}, {"Reason": reason}, place)

    def polled(self, report: "PollReport", calls: "ProviderCalls", request_id: str) -> None:
        """What one run of the producer came to: one line, one more for each kind of provider error, and one for the
        error that ended the run."""
        produced = report.produced
        values = {
            "PublishedTrades": produced.published,
            "KeptTrades": produced.kept,
            "UnreadablePayloads": produced.unreadable,
            "ProviderRequests": calls.requests,
            "RateLimitWaitSeconds": round(calls.waited_seconds, 3),
        }
        level = "WARNING" if produced.kept or produced.unreadable or calls.errors else "INFO"
        run = {"request_id": request_id}
        self._line(level, "trades produced", values, {}, {**run, "polls": report.polls, "records": produced.records})
        for kind, count in calls.errors.items():
            self._line("WARNING", "provider calls failed", {"ProviderErrors": count}, {"Kind": kind}, run)
        if report.failure is not None:
            self.log("ERROR", str(report.failure), **run)

    def redriven(self, report: "RedriveReport", request_id: str) -> None:
        """What one redrive came to: one line, one more for each outcome, and one for each message that was not
        published, with the reason."""
        run = {"request_id": request_id}
        lines = sum(outcome.lines for outcome in report.outcomes)
        self._line("INFO", "redrive finished", {"RedrivenLines": lines}, {}, {**run, "messages": len(report.outcomes)})
        for action, count in report.counts.items():
            self._line("INFO", "messages redriven", {"RedrivenMessages": count}, {"Outcome": action}, run)
        for outcome in report.outcomes:
            if outcome.action != "published":
                self.log("WARNING", f"message {outcome.action}: {outcome.why}", message_id=outcome.message_id, **run)

    def _line(
        self,
        level: str,
        message: str,
        values: Mapping[str, float],
        dimensions: Mapping[str, str],
        fields: Mapping[str, Any],
    ) -> None:
        document: dict[str, Any] = {
            "level": level,
            "message": message,
            "Service": self.service,
            "Environment": self.environment,
            **dimensions,
            **fields,
            **values,
        }
        if values:
            document["_aws"] = {
                "Timestamp": self.now_ns() // 10**6,
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["Service", "Environment", *dimensions]],
                        "Metrics": [{"Name": name, "Unit": _UNITS[name]} for name in values],
                    }
                ],
            }
        self.write(json.dumps(document, default=str))
