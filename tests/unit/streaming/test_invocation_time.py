"""The processor answers within its time-out, whatever is slow or away. Time is virtual, and each thread has its own."""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from stock_pipeline.aws.clients import ANSWER_SECONDS, CONNECT_SECONDS
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import RetryableError
from stock_pipeline.state.rows import NewState
from stock_pipeline.state.stored_item import StoredItem
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.stores import FakeObjectStore, FakeQueue, FakeStateTable
from tests.support.kinesis_events import kinesis_event
from tests.support.scripts import load_script
from tests.support.trades import trade

TIMEOUT_SECONDS = 60
"""`functions.processor.timeout_seconds` in infra/variables.tf."""

HUNG = CONNECT_SECONDS + ANSWER_SECONDS
QUICK = 0.01


class LongestPauses(random.Random):
    def random(self) -> float:
        return 1.0


@dataclass
class ThreadClock:
    """Seconds since the start, for each thread: threads wait at the same time. The main thread waits for all."""

    times: dict[threading.Thread, float] = field(default_factory=dict)
    joined: float = 0.0

    def now(self) -> float:
        thread = threading.current_thread()
        is_main = thread is threading.main_thread()
        if is_main or (thread not in self.times and not any(other.is_alive() for other in self.times)):
            self._join()
        return self.joined if is_main else self.times.setdefault(thread, self.joined)

    def sleep(self, seconds: float) -> None:
        now = self.now() + seconds
        if threading.current_thread() is threading.main_thread():
            self.joined = now
        else:
            self.times[threading.current_thread()] = now

    def restart(self) -> None:
        self.times.clear()
        self.joined = 0.0

    def _join(self) -> None:
        self.joined = max([self.joined, *self.times.values()])
        self.times.clear()


@dataclass
class Service:
    """How long a call of a service takes, and whether it does anything."""

    seconds: float = QUICK
    is_away: bool = False

    def call(self, clock: ThreadClock) -> None:
        clock.sleep(self.seconds)
        if self.is_away:
            raise RetryableError("it is away")


class Scene:
    def __init__(self, **services: Service) -> None:
        self.clock = ThreadClock()
        self.services = {"lake": Service(), "queue": Service(), "reads": Service(), "writes": Service()} | services
        self.lake, self.queue, self.table = FakeObjectStore(), FakeQueue(), FakeStateTable()
        self.processor = Processor(self, self, self, (5, 20), back_off(self.clock.sleep, LongestPauses()))

    def put_if_absent(self, key: str, body: bytes) -> bool:
        self.services["lake"].call(self.clock)
        return self.lake.put_if_absent(key, body)

    def send(self, documents: Sequence[bytes]) -> None:
        self.services["queue"].call(self.clock)
        self.queue.send(documents)

    def read_once(self, keys: Sequence[SymbolKey]) -> tuple[Mapping[SymbolKey, StoredItem], Sequence[SymbolKey]]:
        self.services["reads"].call(self.clock)
        return self.table.read_once(keys)

    def put(self, state: NewState, replaces: str | None) -> StoredItem:
        self.services["writes"].call(self.clock)
        return self.table.put(state, replaces)

    def invoke(self, event: dict[str, Any]) -> int | None:
        """The place of the first unfinished record in the answer, as from the handler with its time-out."""
        last_seconds = load_script("lambdas/processor/app.py").LAST_SECONDS
        has_time: Callable[[], bool] = lambda: TIMEOUT_SECONDS - self.clock.now() > last_seconds  # noqa: E731
        failures = self.processor.handle(event, has_time)["batchItemFailures"]
        numbers = [record["kinesis"]["sequenceNumber"] for record in event["Records"]]
        return numbers.index(failures[0]["itemIdentifier"]) if failures else None


def batch_of(symbols: int, broken: int = 0) -> dict[str, Any]:
    """A record for each symbol, the broken lines in the last ones."""
    payloads = [encode_trade(trade(n, symbol=f"S{n:03}", event_id=f"id{n}")) for n in range(symbols)]
    for place in range(broken):
        payloads[-1 - place % min(100, symbols)] += b"\nbroken"
    return kinesis_event(payloads)


AWAY = {
    "a table that throttles": {"writes": Service(QUICK, is_away=True)},
    "a table that throttles reads": {"reads": Service(QUICK, is_away=True)},
    "a table that does not answer": {"writes": Service(HUNG, is_away=True), "reads": Service(HUNG)},
    "a table that can't be read": {"reads": Service(HUNG, is_away=True)},
    "a slow table": {"writes": Service(4.9)},
    "a table that is slow to refuse": {"writes": Service(6.9, is_away=True), "reads": Service(6.9)},
    "a queue and large rejections, which are two calls": {"queue": Service(2 * 6.9)},
    "a bucket that does not answer": {"lake": Service(HUNG, is_away=True)},
    "a queue that does not answer": {"queue": Service(HUNG, is_away=True)},
    "all slow": {name: Service(4.9) for name in ("lake", "queue", "reads", "writes")},
}


@pytest.mark.parametrize("symbols", [50, 200, 500])
@pytest.mark.parametrize("services", AWAY.values(), ids=AWAY)
def test_the_answer_comes_in_time_and_names_the_first_unfinished_record(
    services: dict[str, Service], symbols: int
) -> None:
    scene = Scene(**services)
    event = batch_of(symbols, broken=400)
    first = scene.invoke(event)
    assert scene.clock.now() <= TIMEOUT_SECONDS - 1
    written = {key.symbol for key in scene.table.held}
    # the broken lines are in the last hundred records at most
    assert first is not None or len(scene.queue.documents) == 400
    done = symbols if first is None else first
    assert written >= {f"S{n:03}" for n in range(done)}
    assert bool(scene.lake.objects) or done == 0


def test_a_batch_that_was_cut_short_is_finished_by_the_next_tries() -> None:
    scene = Scene(writes=Service(4.9))
    event = batch_of(500)
    while (first := scene.invoke(event)) is not None:
        # a thread writes so many in its time, even if the others get no turn
        assert first >= (TIMEOUT_SECONDS - 25) // 4.9
        event = {"Records": event["Records"][first:]}
        scene.clock.restart()
    assert len(scene.table.held) == 500
