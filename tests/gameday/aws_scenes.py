"""What only AWS measures, or what takes days: one metric alone, given the meaning that its documentation gives it.

Redrive's figures come from real runs of it, a day apart, over a queue in memory.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stock_pipeline.redrive.report import RedriveReport
from stock_pipeline.streaming.stream_sink import StreamProgress
from stock_pipeline.streaming.telemetry import Telemetry
from tests.gameday.account import ENVIRONMENT, IN_SESSION, MINUTE, NAME, QUEUE, STEP, STREAM, TABLE, Watch
from tests.support.alarms import Samples
from tests.support.redrive_world import EVENTS, RedriveWorld, rejected

DAY = 24 * 60 * MINUTE
START = IN_SESSION.timestamp()


@dataclass(frozen=True)
class Measured:
    """Something that AWS alone measures: the same value every minute."""

    name: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    value: float
    minutes: int = 20

    def play(self) -> dict[str, int]:
        samples, watch = Samples(), Watch(START, partial=True)
        for at in range(0, self.minutes * MINUTE, MINUTE):
            samples.measured(self.namespace, self.metric, self.dimensions, START + at, self.value)
        watch.look(samples, START, START + self.minutes * MINUTE)
        return watch.first


def _function(name: str) -> dict[str, str]:
    return {"FunctionName": f"{NAME}-{name}"}


DATABASE = {"DBInstanceIdentifier": f"{NAME}-dagster"}

MEASURED = (
    *(
        Measured(f"Lambda refuses to start the {name} function", "AWS/Lambda", "Throttles", _function(name), 1)
        for name in ("producer", "processor", "redrive")
    ),
    *(
        Measured(f"the {name} function takes all of its time", "AWS/Lambda", "Duration", _function(name), seconds * 999)
        for name, seconds in (("producer", 60), ("processor", 60), ("redrive", 300))
    ),
    Measured("the processor is two minutes behind", "AWS/Lambda", "IteratorAge", _function("processor"), 120_000),
    Measured("the processor is 13 hours behind", "AWS/Lambda", "IteratorAge", _function("processor"), 13 * 3_600_000),
    Measured(
        "the stream has too few shards", "AWS/Kinesis", "WriteProvisionedThroughputExceeded", {"StreamName": STREAM}, 1
    ),
    Measured("DynamoDB throttles", "AWS/DynamoDB", "WriteThrottleEvents", {"TableName": TABLE}, 1),
    Measured(
        "the scheduler may not start a function", "AWS/Scheduler", "InvocationDroppedCount", {"ScheduleGroup": NAME}, 1
    ),
    Measured(
        "a message that redrive can't mend",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": QUEUE},
        1,
        25 * 60,
    ),
    Measured("Dagster's database has used up its CPU credits", "AWS/RDS", "CPUCreditBalance", DATABASE, 0, 4 * 60),
    Measured("Dagster's database has too many connections", "AWS/RDS", "DatabaseConnections", DATABASE, 100),
)


@dataclass(frozen=True)
class Printed:
    """Something that shows over days, or where no function of the account is: lines, with their time."""

    name: str
    lines: Callable[[], Iterator[tuple[float, list[str]]]]
    every: int = MINUTE

    def play(self) -> dict[str, int]:
        samples, watch = Samples(), Watch(START, partial=True)
        now = START
        for at, lines in self.lines():
            samples.printed(lines, START + at)
            watch.look(samples, now, START + at + self.every, self.every)
            now = START + at + self.every
        return watch.first


def _days(world: RedriveWorld, days: int) -> Iterator[tuple[float, list[str]]]:
    for day in range(days):
        yield day * DAY, _recorded("redrive", world.run())


def _recorded(service: str, report: RedriveReport) -> list[str]:
    lines: list[str] = []
    Telemetry(service, ENVIRONMENT, lines.append, lambda: 0).record(report.events("request-1"))
    return lines


def unmendable() -> Iterator[tuple[float, list[str]]]:
    world = RedriveWorld()
    world.add("bad", rejected(b"not json"))
    yield from _days(world, 6)


def expired() -> Iterator[tuple[float, list[str]]]:
    world = RedriveWorld()
    world.add("expired", (EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    yield from _days(world, 9)


def interrupted() -> Iterator[tuple[float, list[str]]]:
    world = RedriveWorld()
    world.add("bad", rejected(b"not json"))
    receive = world.receive

    def once(limit: int) -> Any:
        world.receive = _away  # type: ignore[method-assign]
        return receive(limit)

    world.receive = once  # type: ignore[method-assign]
    yield from _days(world, 1)


def _away(_limit: int) -> Any:
    raise ConnectionError("the queue is away")


def behind() -> Iterator[tuple[float, list[str]]]:
    """The websocket producer, which no planned environment runs, 20 minutes behind."""
    for at in range(0, 20 * MINUTE, STEP):
        lines: list[str] = []
        now_ns = round((START + at) * 1e9)
        progress = StreamProgress("catching up", now_ns - 20 * MINUTE * 10**9, "somewhere", 0)
        Telemetry("stream", ENVIRONMENT, lines.append, lambda: 0).record(progress.events(now_ns))
        yield at, lines


def differing() -> Iterator[tuple[float, list[str]]]:
    from stock_pipeline.orchestration.watch_report import reconciliation_events

    lines: list[str] = []
    Telemetry("dagster", ENVIRONMENT, lines.append, lambda: 0).record(reconciliation_events("2026-01-07", 3))
    yield 0, lines


PRINTED = (
    Printed("a line that is no trade comes back five times", unmendable, STEP),
    Printed("a failed batch is redriven after the stream forgot it", expired, STEP),
    Printed("the queue goes away during a redrive", interrupted),
    Printed("the places of a session differ", differing),
    Printed("the websocket producer is 20 minutes behind", behind),
)
