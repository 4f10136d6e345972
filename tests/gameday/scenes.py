"""What is broken, part by part, in an account where all else is well. The real functions meet it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from stock_pipeline.local.lambda_functions import load_handler
from tests.gameday.account import (
    EMPTY,
    IN_SESSION,
    MINUTE,
    Account,
    Machine,
    Watch,
    refusing,
    warmed_up,
)
from tests.support.kinesis_events import kinesis_event
from tests.support.provider_fakes import Answer


@dataclass(frozen=True)
class Scene:
    """Something that breaks.

    breaks: changes the account, for as long as its context is open.
    minutes: how long it is watched.
    """

    name: str
    breaks: Callable[[Account], AbstractContextManager[Any]]
    minutes: int = 20
    moment: datetime = IN_SESSION

    def play(self, new: Callable[[datetime], Account]) -> dict[str, int]:
        """Return the alarms that came on, with the minutes since the break."""
        account = new(self.moment)
        account.starts = self.moment == IN_SESSION
        warmed_up(account)
        watch = Watch(account.now)
        with self.breaks(account):
            while account.now < watch.since + self.minutes * MINUTE:
                before = account.now
                account.step()
                # a step's measurements are in its first minutes
                watch.look(account.samples, before, account.now)
        return dict(sorted(watch.first.items(), key=lambda item: (item[1], item[0])))


def changed(**values: Any) -> Callable[[Account], AbstractContextManager[None]]:
    """A break that is another value of the account's."""

    def breaks(account: Account) -> AbstractContextManager[None]:
        for name, value in values.items():
            setattr(account, name, value)
        return nullcontext()

    return breaks


def refused(service: str, *operations: str, **error: Any) -> Callable[[Account], AbstractContextManager[None]]:
    return lambda _account: refusing(service, *operations, **error)


def answering(answer: Answer) -> Callable[[Account], AbstractContextManager[None]]:
    return changed(answer=lambda _account: answer)


def raising(_handler: Any) -> Any:
    def handler(event: Any, context: Any) -> Any:
        raise RuntimeError("a bug")

    return handler


def swallowing(_handler: Any) -> Any:
    return lambda event, context: {"batchItemFailures": []}


def with_bad_lines(handler: Any) -> Any:
    """A source that sends what is no trade, among trades."""
    bad = kinesis_event([b"no trade"] * 20, arrived_at=datetime.now(UTC).timestamp())
    data = bad["Records"][0]["kinesis"]["data"]

    def with_bad(event: Any, context: Any) -> Any:
        records = [{**one, "kinesis": {**one["kinesis"], "data": data}} for one in event["Records"]]
        return handler({"Records": records}, context)

    return with_bad


@contextmanager
def queue_refuses(account: Account) -> Iterator[None]:
    account.around_processor = with_bad_lines
    with refusing("sqs", "SendMessageBatch"):
        yield


@contextmanager
def redrive_fails(account: Account) -> Iterator[None]:
    """The redrive function, called once while the queue refuses."""
    redrive = load_handler("redrive", account._print)
    with refusing("sqs", "ReceiveMessage"), account.time():
        try:
            redrive({}, Machine(account))
        except Exception:
            account.function("redrive", "Errors", account.now, 1)
    yield


def published_only(account: Account) -> AbstractContextManager[None]:
    account.publish(date(2026, 1, 7), built=False)
    return nullcontext()


def nothing(_account: Account) -> AbstractContextManager[None]:
    return nullcontext()


def dead_dagster(**values: Any) -> Callable[[Account], AbstractContextManager[None]]:
    return changed(dagster_lives=False, **values)


DEADLINE = datetime(2026, 1, 8, 3, tzinfo=UTC)
"""22:00 New York of the same Wednesday."""

KEY_REFUSED = Answer(b'{"code":40110000,"message":"request is not authorized"}', 401)
AWAY = Answer(b"upstream is away", 503)


def ahead(account: Account) -> Answer:
    """Trades from a source whose clock is years ahead."""
    account.number += 1
    row = f'{{"t":"2099-01-07T15:00:00Z","x":"V","p":10.5,"s":100,"c":["@"],"i":{account.number},"z":"C"}}'
    return Answer(f'{{"trades":{{"AAPL":[{row}]}},"next_page_token":null}}'.encode())


SCENES = (
    Scene("the producer is not started", changed(starts=False)),
    Scene("the price API refuses the key", answering(KEY_REFUSED)),
    Scene("the price API is away", answering(AWAY)),
    Scene("the price API has no trades", answering(EMPTY)),
    Scene("the price API is five minutes slow", changed(trades_late=300)),
    Scene(
        "the stream refuses records",
        refused("kinesis", "PutRecords", code="ProvisionedThroughputExceededException", status=400),
    ),
    Scene("the processor raises", changed(around_processor=raising)),
    Scene("the processor is not called", changed(is_mapped=False)),
    Scene("the processor answers, and does nothing", changed(around_processor=swallowing, trades=120), minutes=150),
    Scene("the table refuses", refused("dynamodb", "BatchGetItem", "PutItem")),
    Scene("the bucket refuses", refused("s3", "PutObject", code="AccessDenied")),
    Scene("the queue refuses, and a source sends bad lines", queue_refuses),
    Scene("a source sends lines that are no trades", changed(around_processor=with_bad_lines)),
    Scene("a source's clock is ahead", changed(answer=ahead)),
    Scene("redrive can't read the queue", redrive_fails),
    Scene("compaction fails", nothing, moment=DEADLINE, minutes=45),
    Scene("dbt fails", published_only, moment=DEADLINE, minutes=45),
    Scene("Dagster's daemon is dead", dead_dagster(stopped_services=frozenset({"daemon"})), 45),
    Scene("Dagster's daemon hangs", dead_dagster(), 45),
    Scene("Dagster's code location is dead", dead_dagster(stopped_services=frozenset({"code"})), 45),
    Scene("Dagster's webserver is dead", changed(stopped_services=frozenset({"webserver"}))),
    Scene("Dagster's database is full", dead_dagster(free_bytes=0.0), minutes=90),
    Scene("nobody switched Dagster's sensors on", changed(off=("freshness", "raw_files")), minutes=90),
)
