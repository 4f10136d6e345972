"""The processor's report: answer to Lambda, metrics and log events. The processing is `processor`'s."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stock_pipeline.streaming.telemetry import LogEvent, Metric

RECEIVED_RECORDS = Metric("ReceivedRecords", "Count", None, "Kinesis records that the processor received.")
RECEIVED_TRADES = Metric("ReceivedTrades", "Count", None, "Trades in them, repeats included.")
REJECTED_RECORDS = Metric("RejectedRecords", "Count", "Reason", "Rejected lines, by reason.")
DUPLICATE_TRADES = Metric(
    "DuplicateTrades", "Count", None, "Repeats within a batch, and trades of a batch that was written before."
)
STATE_WRITES = Metric("StateWrites", "Count", None, "Items written to the realtime table.")
STATE_CONFLICTS = Metric("StateConflicts", "Count", None, "State writes that another writer preceded, tried again.")
LAKE_TRADES = Metric(
    "LakeTrades", "Count", None, "Trades in the raw files written. With DuplicateTrades: what was received."
)
LAKE_OBJECTS = Metric("LakeObjects", "Count", None, "Raw files written.")
LAKE_BYTES = Metric("LakeBytes", "Bytes", None, "Size of the raw files written.")
EVENT_TIME_LAG_P50 = Metric(
    "EventTimeLagP50", "Seconds", None, "Median age of a batch's trades when it was finished, by venue time."
)
EVENT_TIME_LAG_P99 = Metric("EventTimeLagP99", "Seconds", None, "Age that one trade in a hundred of a batch exceeds.")
UNFINISHED_BATCHES = Metric("UnfinishedBatches", "Count", None, "Batches that Lambda delivers again in part or whole.")

METRICS = (
    RECEIVED_RECORDS,
    RECEIVED_TRADES,
    REJECTED_RECORDS,
    DUPLICATE_TRADES,
    STATE_WRITES,
    STATE_CONFLICTS,
    LAKE_TRADES,
    LAKE_OBJECTS,
    LAKE_BYTES,
    EVENT_TIME_LAG_P50,
    EVENT_TIME_LAG_P99,
    UNFINISHED_BATCHES,
)


@dataclass(frozen=True, slots=True)
class LakeResult:
    """Result of writing a batch's raw files.

    duplicates: repeats within the batch, and trades of files that were written before.
    trades: others, in new files.
    """

    objects: int
    bytes: int
    duplicates: int
    trades: int


@dataclass(frozen=True, slots=True)
class StateResult:
    """Result of writing a batch's states.

    failed_record: index of the first record that is not in the states, or None.
    why: what kept it out.
    """

    writes: int
    conflicts: int
    failed_record: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Result of processing one batch.

    failed_sequence: where Lambda begins again, or None if all is done.
    why: what kept the rest from being done.
    """

    shard_id: str
    first_sequence: str
    last_sequence: str
    records: int
    trades: int
    median_event_time_ns: int | None
    oldest_hundredth_event_time_ns: int | None
    rejected_by_reason: Mapping[str, int]
    lake: LakeResult
    states: StateResult
    failed_sequence: str | None
    why: str = ""

    def response(self) -> dict[str, list[dict[str, str]]]:
        """Return the answer to Lambda: the first record to deliver again (ReportBatchItemFailures)."""
        if self.failed_sequence is None:
            return {"batchItemFailures": []}
        return {"batchItemFailures": [{"itemIdentifier": self.failed_sequence}]}

    def events(self, request_id: str, now_ns: int) -> Iterator[LogEvent]:
        """Yield one event, and one for each reason of rejection. now_ns: since 1970 UTC."""
        values: dict[Metric, float] = {
            RECEIVED_RECORDS: self.records,
            RECEIVED_TRADES: self.trades,
            DUPLICATE_TRADES: self.lake.duplicates,
            STATE_WRITES: self.states.writes,
            STATE_CONFLICTS: self.states.conflicts,
            LAKE_TRADES: self.lake.trades,
            LAKE_OBJECTS: self.lake.objects,
            LAKE_BYTES: self.lake.bytes,
            UNFINISHED_BATCHES: int(self.failed_sequence is not None),
        }
        if self.median_event_time_ns is not None:
            values[EVENT_TIME_LAG_P50] = _seconds(now_ns - self.median_event_time_ns)
        if self.oldest_hundredth_event_time_ns is not None:
            values[EVENT_TIME_LAG_P99] = _seconds(now_ns - self.oldest_hundredth_event_time_ns)
        place = {
            "request_id": request_id,
            "shard_id": self.shard_id,
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
            "failed_sequence": self.failed_sequence,
        }
        level = "WARNING" if self.failed_sequence is not None or self.rejected_by_reason else "INFO"
        yield LogEvent(level, "batch processed", place, values)
        if self.why:
            yield LogEvent("ERROR", f"the batch is not finished: {self.why}", place)
        for reason, count in self.rejected_by_reason.items():
            yield LogEvent("WARNING", "lines rejected", place, {REJECTED_RECORDS: count}, reason)


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1e9, 3)
