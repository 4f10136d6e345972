"""An account for a game day: the local stack, the real functions on it, and a clock that nobody waits for.

Functions print their own metrics. What only AWS measures is counted as its pages define it: Lambda developer guide,
"Types of metrics for Lambda functions"; SQS developer guide, "Available CloudWatch metrics for Amazon SQS"; Kinesis
developer guide, "Monitoring the Amazon Kinesis Data Streams service with Amazon CloudWatch"; CloudWatch user guide,
"Container Insights metrics"; RDS user guide, "Amazon CloudWatch metrics for Amazon RDS".
"""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from unittest import mock

import dagster as dg
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.domain.freshness import deadline, expected_session
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.lambda_functions import load_handler, poller
from stock_pipeline.local.stack import LocalStack, create_resources, local_stack
from stock_pipeline.orchestration.freshness import BUILT, look
from stock_pipeline.orchestration.lake_assets import lake_definitions
from stock_pipeline.orchestration.resources import LakeResource, RealtimeResource
from stock_pipeline.orchestration.watch_report import heartbeat_events
from stock_pipeline.streaming.telemetry import Telemetry
from tests.support.alarms import Alarm, Samples, fires, planned_alarms
from tests.support.provider_fakes import KEY, SECRET, Answer, ScriptedServer, scripted_server
from tests.support.raw_files import put_raw_file

ENVIRONMENT = "prod"
NAME = f"stock-pipeline-{ENVIRONMENT}"
STREAM, TABLE, QUEUE = "stock-stream-prod", "stock-realtime-prod", f"{NAME}-dead-letter"
MINUTE = 60
STEP = 5 * MINUTE
IN_SESSION = datetime(2026, 1, 7, 15, tzinfo=UTC)
"""A Wednesday, half an hour after the opening. Kinesis stamps records with the real clock, which is later."""

EMPTY = Answer(b'{"trades":{},"next_page_token":null}')
POLLS_A_STEP = 60
TRADES_A_STEP = 40


class Machine(NamedTuple):
    """A context that Lambda gives: a minute of the account's clock."""

    account: "Account"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class Account:
    """Parts and clock. `now` is UTC seconds; `samples` is what CloudWatch has."""

    stack: LocalStack
    api: ScriptedServer
    lake: LakeResource
    realtime: RealtimeResource
    instance: dg.DagsterInstance
    now: float = IN_SESSION.timestamp()
    samples: Samples = field(default_factory=Samples)
    number: int = 0
    messages: int = 0
    starts: bool = True
    trades: int = TRADES_A_STEP
    trades_late: int = 0
    answer: Callable[["Account"], Answer] | None = None
    around_processor: Callable[[Any], Any] = lambda handler: handler
    is_mapped: bool = True
    dagster_lives: bool = True
    sees_dagster_every: int = 2 * STEP
    off: Sequence[str] = ()
    stopped_services: frozenset[str] = frozenset()
    free_bytes: float = 15e9
    last_look: float = 0.0

    def __post_init__(self) -> None:
        self._producer = load_handler("producer", self._print)
        self._handled, self._raised, self._undelivered = 0, 0, 0
        self._poller = poller(self.stack, self._process, _Troubles(self), BackOff(0, 0))
        self._processor = load_handler("processor", self._print)

    # the clock

    @contextmanager
    def time(self) -> Iterator[None]:
        def pass_by(seconds: float) -> None:
            self.now += seconds

        with (
            mock.patch("time.time_ns", side_effect=lambda: round(self.now * 1e9)),
            mock.patch("time.sleep", pass_by),
        ):
            yield

    # a step of everything

    def step(self) -> None:
        """Let five minutes pass: one run of the producer, its trades through the processor, Dagster's ticks."""
        at = self.now
        with self.time():
            if self.starts:
                self._produce(at)
            if self.is_mapped:
                self._deliver(at)
        self._count_queue(at)
        if self.dagster_lives:
            self._dagster(at)
        for service in ("code", "webserver", "daemon"):
            running = 0 if service in self.stopped_services else 1
            place = {"ClusterName": f"{NAME}-dagster", "ServiceName": service}
            self.samples.measured("ECS/ContainerInsights", "RunningTaskCount", place, at, running)
        database = {"DBInstanceIdentifier": f"{NAME}-dagster"}
        for metric, value in (
            ("FreeStorageSpace", self.free_bytes),
            ("CPUCreditBalance", 200),
            ("DatabaseConnections", 9),
        ):
            self.samples.measured("AWS/RDS", metric, database, at, value)
        self.now = at + STEP

    def _print(self, line: str) -> None:
        self.samples.printed([line], self.now)

    def function(self, name: str, metric: str, at: float, value: float) -> None:
        self.samples.measured("AWS/Lambda", metric, {"FunctionName": f"{NAME}-{name}"}, at, value)

    def _produce(self, at: float) -> None:
        self.api.script.clear()
        first = self.answer(self) if self.answer else self._trades_answer()
        self.api.play(first, *[first if self.answer else EMPTY] * 20)
        raised = 0
        try:
            answer = self._producer({}, Machine(self))
        except Exception:
            raised, answer = 1, {"published": 0}
        self.function("producer", "Invocations", at, 1)
        self.function("producer", "Errors", at, raised)
        if answer["published"]:
            self.samples.measured("AWS/Kinesis", "IncomingRecords", {"StreamName": STREAM}, at, 1)

    def _trades_answer(self) -> Answer:
        rows = []
        for _ in range(self.trades):
            self.number += 1
            made = datetime.fromtimestamp(self.now - 2 - self.trades_late, UTC) + timedelta(microseconds=self.number)
            at = made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            rows.append({"t": at, "x": "V", "p": 10.5, "s": 100, "c": ["@"], "i": self.number, "z": "C"})
        return Answer(json.dumps({"trades": {"AAPL": rows}, "next_page_token": None}).encode())

    def _process(self, event: Any, context: Any) -> Any:
        self._handled += 1
        try:
            return self.around_processor(self._processor)(event, Machine(self))
        except Exception:
            self._raised += 1
            raise

    def _deliver(self, at: float) -> None:
        self._handled, self._raised, self._undelivered = 0, 0, 0
        for _ in range(POLLS_A_STEP):
            if self._poller.poll_once(close_windows=True).is_idle:
                break
        if self._handled:
            self.function("processor", "Invocations", at, self._handled)
            self.function("processor", "Errors", at, self._raised)
        if self._undelivered:
            self.function("processor", "DestinationDeliveryFailures", at, self._undelivered)

    def undelivered(self) -> None:
        self._undelivered += 1

    def _count_queue(self, at: float) -> None:
        depth = self.stack.wiring.dead_letters.depth()
        place = {"QueueName": QUEUE}
        if depth.total > self.messages:
            self.samples.measured("AWS/SQS", "NumberOfMessagesSent", place, at, depth.total - self.messages)
        self.messages = depth.total
        self.samples.measured("AWS/SQS", "ApproximateNumberOfMessagesVisible", place, at, depth.waiting)

    # Dagster

    def _dagster(self, at: float) -> None:
        telemetry = Telemetry("dagster", ENVIRONMENT, self._print, lambda: 0)
        telemetry.record(heartbeat_events(self.off))
        if at - self.last_look >= self.sees_dagster_every and "freshness" not in self.off:
            self.last_look = at
            lines: list[str] = []
            telemetry = Telemetry("dagster", ENVIRONMENT, lines.append, lambda: 0)
            now = datetime.fromtimestamp(at, UTC)
            look(self.instance, self.lake, self.realtime, None, now, lambda *_: None, 0, telemetry)
            # nothing changes until the next look: the sensor's ticks between say the same
            for later in range(0, self.sees_dagster_every, STEP):
                self.samples.printed(lines, at + later)

    def publish(self, session_date: date, built: bool = True) -> None:
        """Publish a session after its close, and build its bars."""
        put_raw_file(self.lake.objects, session_date, 1)
        late = datetime.combine(session_date + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=3)
        Compactor(self.lake.objects, self.lake.catalog, now=lambda: late).compact(session_date)
        if built:
            event = dg.AssetMaterialization(BUILT.asset_key, partition=session_date.isoformat())
            self.instance.report_runless_asset_event(event)


class _Troubles(SilentObserver):
    """Hears of batches that could not be put into the bucket."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def in_trouble(self, shard_id: str, doing: str, error: Exception) -> None:
        if doing == "sending to the destination":
            self._account.undelivered()


@contextmanager
def open_account() -> Iterator[Callable[[datetime], Account]]:
    """Yield a maker of accounts at a moment, each with everything new, in which all is well."""
    variables = {
        **{"ENVIRONMENT": ENVIRONMENT, "SYMBOLS": "AAPL", "POLL_INTERVAL_SECONDS": "60", "STATE_TTL_DAYS": "36500"},
        **{"STREAM_NAME": STREAM, "STATE_TABLE_NAME": TABLE},
    }
    with (
        scripted_server() as api,
        local_stack({"PATH": os.environ["PATH"], "PROVIDER_URL": api.url, **variables}) as stack,
        mock.patch.dict(os.environ, stack.environ),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        parts = {
            "lake": LakeResource(environ=stack.settings.environ()),
            "realtime": (lake_definitions(stack.settings).resources or {})["realtime"],
        }
        with dg.build_resources(parts) as resources:

            def new(moment: datetime) -> Account:
                _forget_everything(stack, instance)
                account = Account(stack, api, resources.lake, resources.realtime, instance, moment.timestamp())
                due = expected_session(moment - timedelta(minutes=1))
                # a lake's first session is never late
                for session_date in (expected_session(deadline(due) - timedelta(minutes=1)), due):
                    account.publish(session_date)
                return account

            yield new


def _forget_everything(stack: LocalStack, instance: dg.DagsterInstance) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{stack.endpoint}/moto-api/reset", method="POST")).close()
    create_resources(stack.clients, stack.settings)
    name = stack.settings.provider_secret_name
    stack.clients.secretsmanager.create_secret(Name=name, SecretString=json.dumps({"key": KEY, "secret": SECRET}))
    instance.wipe()


@contextmanager
def refusing(service: str, *operations: str, code: str = "AccessDeniedException", status: int = 403) -> Iterator[None]:
    """Let an AWS service refuse these calls, whoever makes them."""
    real = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: Any, operation: str, parameters: Any) -> Any:
        if client.meta.service_model.service_name == service and operation in operations:
            answer: Any = {
                "Error": {"Code": code, "Message": "refused by the game day"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(answer, operation)
        return real(client, operation, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield


@dataclass
class Watch:
    """The planned alarms over time. `first` has the minute at which each came on, counted from the break."""

    since: float
    partial: bool = False
    planned: dict[str, Alarm] = field(default_factory=lambda: planned_alarms(ENVIRONMENT))
    on: dict[str, bool] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def look(self, samples: Samples, start: float, end: float, every: int = MINUTE) -> None:
        """Evaluate every alarm in `start < t <= end`."""
        now = start
        while now < end:
            now += every
            for name, alarm in self.planned.items():
                if self.partial and not samples.knows(alarm):
                    continue
                self.on[name] = fires(alarm, samples, now, self.on.get(name, False))
                if self.on[name]:
                    self.first.setdefault(name, round((now - self.since) / MINUTE))


def warmed_up(account: Account, steps: int = 7) -> None:
    """Let all be well for so long that no alarm has a reason."""
    start = account.now
    account.now = start - steps * STEP
    for _ in range(steps):
        account.step()
    watch = Watch(start)
    watch.look(account.samples, start - MINUTE, start)
    assert watch.first == {}, watch.first
    assert account.now == start
