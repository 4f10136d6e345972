"""The producer's report: metrics and log events. The polling is `poll_loop`'s."""

from collections.abc import Iterator
from dataclasses import dataclass

from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.streaming.producer import ProducerReport
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.telemetry import LogEvent, Metric

PUBLISHED_TRADES = Metric("PublishedTrades", "Count", None, "Trades that the producer put into the stream.")
KEPT_TRADES = Metric("KeptTrades", "Count", None, "Trades that the stream refused until the deadline, kept in failed/.")
UNREADABLE_PAYLOADS = Metric(
    "UnreadablePayloads", "Count", None, "Pieces of the provider's answers that could not be read as trades."
)
PROVIDER_REQUESTS = Metric("ProviderRequests", "Count", None, "Calls to the price API.")
PROVIDER_ERRORS = Metric("ProviderErrors", "Count", "Kind", "Failed calls to the price API, by kind of error.")
RATE_LIMIT_WAIT_SECONDS = Metric("RateLimitWaitSeconds", "Seconds", None, "Time spent waiting for the key's budget.")

REFUSED_RUNS = Metric(
    "RefusedRuns", "Count", None, "Runs of the producer that ended with what somebody must change: a key, a setting."
)
UNFINISHED_RUNS = Metric(
    "UnfinishedRuns", "Count", None, "Runs of the producer whose last poll failed for a passing reason."
)

MARKET_OPEN = Metric(
    "MarketOpen", "Count", None, "1 if the regular session that the feed shows was open when this was written, else 0."
)

METRICS = (
    MARKET_OPEN,
    PUBLISHED_TRADES,
    KEPT_TRADES,
    REFUSED_RUNS,
    UNFINISHED_RUNS,
    UNREADABLE_PAYLOADS,
    PROVIDER_REQUESTS,
    PROVIDER_ERRORS,
    RATE_LIMIT_WAIT_SECONDS,
)


@dataclass(frozen=True, slots=True)
class PollReport:
    """Result of one run of the producer.

    failure: the error of the last poll, or None.
    """

    polls: int
    produced: ProducerReport
    failure: PermanentError | RetryableError | None

    def plus(self, later: "PollReport") -> "PollReport":
        """Return the report of this run and a later one, whose failure counts."""
        return PollReport(self.polls + later.polls, self.produced.plus(later.produced), later.failure)

    def events(self, calls: ProviderCalls, request_id: str, market_open: bool) -> Iterator[LogEvent]:
        """Yield one event, one for each kind of provider error, and one for the failure.

        market_open: said here, because CloudWatch knows no holidays and half days.
        """
        produced = self.produced
        values: dict[Metric, float] = {
            MARKET_OPEN: int(market_open),
            PUBLISHED_TRADES: produced.published,
            KEPT_TRADES: produced.kept,
            REFUSED_RUNS: int(isinstance(self.failure, PermanentError)),
            UNFINISHED_RUNS: int(isinstance(self.failure, RetryableError)),
            UNREADABLE_PAYLOADS: produced.unreadable,
            PROVIDER_REQUESTS: calls.requests,
            RATE_LIMIT_WAIT_SECONDS: round(calls.waited_seconds, 3),
        }
        run = {"request_id": request_id}
        level = "WARNING" if produced.kept or produced.unreadable or calls.errors else "INFO"
        yield LogEvent(level, "trades produced", {**run, "polls": self.polls, "records": produced.records}, values)
        for kind, count in calls.errors.items():
            said = {**run, "last_error": calls.said.get(kind, "")}
            yield LogEvent("WARNING", "provider calls failed", said, {PROVIDER_ERRORS: count}, kind)
        if self.failure is not None:
            yield LogEvent("ERROR", str(self.failure), run)
