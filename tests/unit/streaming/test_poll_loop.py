"""The producer's grid of polls, its checkpoints, and what ends it."""

import re
from collections.abc import Callable, Iterator

import pytest

from stock_pipeline.domain.capture import Capture
from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.streaming.checkpoint_time import FutureCheckpointError, check_not_ahead
from stock_pipeline.streaming.poll_loop import PollLoop
from stock_pipeline.streaming.poll_report import PollReport
from stock_pipeline.streaming.producer import Producer
from stock_pipeline.streaming.publisher import FailedZone, Publisher
from tests.fakes.crashes import Crashed
from tests.fakes.moody_stream import MoodyStream
from tests.fakes.stores import FakeObjectStore, FakeQueue
from tests.support.clock import SECOND, Clock
from tests.support.trades import trade


class Memory:
    def __init__(self) -> None:
        self.saved: list[str] = []

    def load(self) -> str | None:
        return self.saved[-1] if self.saved else None

    def save(self, checkpoint: str) -> None:
        self.saved.append(checkpoint)


class ScriptedProvider:
    """One page a poll; `trouble` maps the number of a poll to what happens instead."""

    def __init__(self, clock: Clock, seconds: float = 0, trouble: dict[int, Exception] | None = None) -> None:
        self.clock, self.seconds, self.trouble = clock, seconds, trouble or {}
        self.asked: list[tuple[int, str | None]] = []

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        number = len(self.asked)
        self.asked.append((self.clock.ns, checkpoint))
        self.clock.wait(self.seconds)
        if number in self.trouble:
            raise self.trouble[number]
        yield Capture((trade(number),), checkpoint=f"after {number}")


def run(
    provider: ScriptedProvider, stream: MoodyStream | None = None, after: Callable[[], None] = lambda: None
) -> tuple[PollReport, Memory]:
    clock, shelf, queue, memory = provider.clock, FakeObjectStore(), FakeQueue(), Memory()
    publisher = Publisher(
        stream or MoodyStream([]), FailedZone(shelf, queue), 4, clock.now_ns, lambda _attempt: clock.wait(1)
    )
    loop = PollLoop(provider, Producer(publisher, queue), memory, 5, clock.now_ns, clock.wait)
    return loop.run(60 * SECOND), memory


def test_polls_keep_to_an_absolute_grid() -> None:
    provider = ScriptedProvider(Clock(0), seconds=0.7)
    report, _ = run(provider)
    assert [at for at, _ in provider.asked] == [slot * SECOND for slot in range(0, 60, 5)]
    assert (report.polls, report.produced.published, report.failure) == (12, 12, None)


def test_a_slow_poll_skips_the_slots_it_missed() -> None:
    provider = ScriptedProvider(Clock(0), seconds=12)
    run(provider)
    assert [at // SECOND for at, _ in provider.asked] == [0, 15, 30, 45]


def test_each_poll_goes_on_from_the_last_checkpoint() -> None:
    provider = ScriptedProvider(Clock(0))
    _, memory = run(provider)
    assert [checkpoint for _, checkpoint in provider.asked[:3]] == [None, "after 0", "after 1"]
    assert memory.saved[-1] == "after 11"


def test_after_a_passing_error_the_checkpoint_is_asked_again() -> None:
    provider = ScriptedProvider(Clock(0), trouble={1: RetryableError("away")})
    report, _ = run(provider)
    assert [checkpoint for _, checkpoint in provider.asked[:3]] == [None, "after 0", "after 0"]
    assert report.failure is None


def test_a_checkpoint_that_is_away_for_a_moment_costs_one_poll() -> None:
    class AwayOnce(Memory):
        loads = 0

        def load(self) -> str | None:
            self.loads += 1
            if self.loads == 2:
                raise RetryableError("the bucket is away")
            return super().load()

    clock, queue, memory = Clock(0), FakeQueue(), AwayOnce()
    publisher = Publisher(MoodyStream([]), FailedZone(FakeObjectStore(), queue), 4, clock.now_ns, lambda _attempt: None)
    provider = ScriptedProvider(clock)
    report = PollLoop(provider, Producer(publisher, queue), memory, 5, clock.now_ns, clock.wait).run(60 * SECOND)
    assert (report.polls, len(provider.asked), report.failure) == (12, 11, None)


def test_a_permanent_error_ends_the_run_at_once() -> None:
    refused = PermanentError("check the key")
    report, _ = run(ScriptedProvider(Clock(0), trouble={2: refused}))
    assert (report.polls, report.failure, report.produced.published) == (3, refused, 2)


def test_a_stream_that_keeps_refusing_stops_no_checkpoint() -> None:
    provider = ScriptedProvider(Clock(0))
    report, memory = run(provider, MoodyStream([{0}] * 1000))
    assert report.produced.kept == 1
    assert report.produced.published == 0
    # kept for redrive is safe: reading the page again would only repeat it
    assert memory.saved == ["after 0"]


def test_a_crash_before_the_checkpoint_reads_the_page_again() -> None:
    class Forgetful(Memory):
        def save(self, checkpoint: str) -> None:
            raise Crashed

    clock, queue, stream = Clock(0), FakeQueue(), MoodyStream([])
    publisher = Publisher(stream, FailedZone(FakeObjectStore(), queue), 4, clock.now_ns, lambda _attempt: None)
    with pytest.raises(Crashed):
        PollLoop(ScriptedProvider(clock), Producer(publisher, queue), Forgetful(), 5, clock.now_ns, clock.wait).run(
            60 * SECOND
        )
    again = ScriptedProvider(clock)
    PollLoop(again, Producer(publisher, queue), Memory(), 5, clock.now_ns, clock.wait).run(clock.ns + SECOND)
    assert [checkpoint for _, checkpoint in again.asked] == [None]
    assert [record.data for record in stream.taken] == [stream.taken[0].data] * 2


NOW_NS = 1_767_000_000 * SECOND
A_DAY_AHEAD = NOW_NS + 86_400 * SECOND


@pytest.mark.parametrize(
    "checkpoint",
    [
        f'{{"start_ns":{NOW_NS - SECOND},"end_ns":{A_DAY_AHEAD},"page_token":null,"query":"abc"}}',
        f'{{"complete_to_ns":{NOW_NS},"gap":{{"end_ns":{A_DAY_AHEAD}}}}}',
        f"[{A_DAY_AHEAD}]",
        str(A_DAY_AHEAD),
        str(NOW_NS + 61 * SECOND),
    ],
)
def test_a_checkpoint_from_the_future_says_what_to_do_and_asks_nobody(checkpoint: str) -> None:
    clock, memory = Clock(NOW_NS), Memory()
    memory.save(checkpoint)
    provider, queue = ScriptedProvider(clock), FakeQueue()
    publisher = Publisher(MoodyStream([]), FailedZone(FakeObjectStore(), queue), 4, clock.now_ns, lambda _attempt: None)
    report = PollLoop(provider, Producer(publisher, queue), memory, 5, clock.now_ns, clock.wait).run(
        NOW_NS + 60 * SECOND
    )
    assert isinstance(report.failure, FutureCheckpointError)
    assert re.search(r"lies [0-9,]+ s ahead .* put an older version of it back .* or delete it", str(report.failure))
    assert (provider.asked, memory.saved, report.polls) == ([], [checkpoint], 1)


@pytest.mark.parametrize(
    "checkpoint",
    [
        None,
        "",
        "after 1",
        "[" * 5000,
        str(NOW_NS + 59 * SECOND),
        str(NOW_NS // SECOND * 2),
        f'{{"end_ns":{NOW_NS},"page_token":"{A_DAY_AHEAD}"}}',
        '{"turn":"ABC","quotes":{"ABC":[4000000000,"1.5"]},"unknown":[]}',
    ],
)
def test_any_other_checkpoint_is_the_providers_to_judge(checkpoint: str | None) -> None:
    check_not_ahead(checkpoint, NOW_NS)
