"""A batch that fails again comes back as another message: its lines are tried five times, however they come."""

import json
from collections.abc import Callable, Iterable, Sequence

import pytest

from stock_pipeline.domain.lake_layout import REDRIVEN_KEY
from stock_pipeline.domain.redrive_pace import Pace, QueueDepth, after_asking, after_emptying, due_at, nothing_came_back
from stock_pipeline.domain.redrive_plan import MAX_TRIES
from stock_pipeline.redrive import redriven
from stock_pipeline.redrive.message_forms import origins_of
from stock_pipeline.redrive.parked_messages import unpark
from stock_pipeline.redrive.redriven import Redriven
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.stores import FakeObjectStore, FakeQueue
from tests.support.redrive_world import EVENTS, RedriveWorld, failed_batch, notification, rejected
from tests.support.trades import trade

NOON = 1_700_000_000
POISON = [encode_trade(trade(number)) for number in range(4)]


def as_it_was(world: RedriveWorld, lines: Sequence[bytes], cycle: int) -> None:
    give_up(world, lines, cycle)


def turned_round_in_one_record(world: RedriveWorld, lines: Sequence[bytes], cycle: int) -> None:
    give_up(world, [b"\n".join(reversed(lines)) + b"\n"], cycle)


def in_halves(world: RedriveWorld, lines: Sequence[bytes], cycle: int) -> None:
    for half in (0, 1):
        give_up(world, lines[half::2], 2 * cycle + half)


def with_other_neighbours(world: RedriveWorld, lines: Sequence[bytes], cycle: int) -> None:
    give_up(world, [encode_trade(trade(100 + cycle)), *lines, encode_trade(trade(200 + cycle))], cycle)


def as_its_place_in_the_stream(world: RedriveWorld, lines: Sequence[bytes], cycle: int) -> None:
    metadata = json.loads((EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    metadata["KinesisBatchInfo"]["shardId"] = f"shard-{cycle}"
    world.history[f"shard-{cycle}"] = [b"\n".join(lines)]
    world.add(f"again-{cycle}", metadata)


def as_rejected_lines(world: RedriveWorld, lines: Sequence[bytes], cycle: int) -> None:
    """The processor's release does not know a field that redrive's does."""
    for number, line in enumerate(lines):
        world.add(f"again-{cycle}-{number}", rejected(line, number))


def give_up(world: RedriveWorld, payloads: Sequence[bytes], cycle: int) -> None:
    key = f"aws/lambda/id/{cycle}.json"
    world.objects["lake", key] = failed_batch(payloads)
    world.add(f"again-{cycle}", notification(key))


def poison_in(lines: Iterable[bytes]) -> list[bytes]:
    return [line for line in lines if line in POISON]


WAYS_BACK = [
    as_it_was,
    turned_round_in_one_record,
    in_halves,
    with_other_neighbours,
    as_its_place_in_the_stream,
    as_rejected_lines,
]


@pytest.mark.parametrize("come_back", WAYS_BACK)
def test_lines_that_always_fail_are_parked_the_fifth_time_however_they_come_back(
    come_back: Callable[[RedriveWorld, Sequence[bytes], int], None],
) -> None:
    world = RedriveWorld()
    come_back(world, POISON, 0)
    for cycle in range(1, 3 * MAX_TRIES):
        before = len(world.stream)
        report = world.run()
        assert not world.waiting
        assert {outcome.tries for outcome in report.outcomes} == {cycle}
        if poison_in(world.stream[before:]):
            come_back(world, POISON, cycle)
        else:
            break
    assert cycle == MAX_TRIES
    assert report.counts.keys() == {"parked"}
    assert sorted(poison_in(world.stream)) == sorted(POISON * (MAX_TRIES - 1))
    assert {one["why"].rpartition(", ")[2] for one in world.parked().values()} == {f"{MAX_TRIES} times"}


def test_neighbours_of_lines_that_are_parked_are_published() -> None:
    world = RedriveWorld()
    for cycle in range(MAX_TRIES):
        with_other_neighbours(world, POISON, cycle)
        world.run()
    neighbours = {encode_trade(trade(base + cycle)) for base in (100, 200) for cycle in range(MAX_TRIES)}
    assert neighbours == set(world.stream) - set(POISON)


@pytest.mark.parametrize("come_back", [as_it_was, as_its_place_in_the_stream])
def test_what_was_parked_begins_anew_after_a_repair(
    come_back: Callable[[RedriveWorld, Sequence[bytes], int], None],
) -> None:
    world = RedriveWorld()
    for cycle in range(MAX_TRIES):
        come_back(world, POISON, cycle)
        world.run()
    world.history.clear()  # the stream keeps the records no longer
    (parked,) = world.parked().values()
    store, queue = FakeObjectStore(), FakeQueue()
    store.put("quarantine/parked/x.json", json.dumps(parked).encode())
    assert unpark(store, queue, 10).messages == 1
    world.stream.clear()
    world.add("repaired", queue.documents[0])
    (outcome,) = world.run().outcomes
    assert (outcome.action, outcome.tries, world.stream) == ("published", 1, POISON)


def test_copies_of_a_message_are_no_tries() -> None:
    world = RedriveWorld()
    for number in range(3 * MAX_TRIES):
        world.add(f"copy-{number}", rejected(POISON[0], number))
    assert world.run().counts == {"published": 3 * MAX_TRIES}


def test_lines_that_the_stream_refuses_are_not_counted() -> None:
    world = RedriveWorld(refuses=True)
    as_it_was(world, POISON, 0)
    for _ in range(2 * MAX_TRIES):
        assert world.run().counts == {"left": 1}
    world.refuses = False
    assert world.run().counts == {"published": 1}


def test_a_poison_batch_costs_a_handful_of_runs_a_day() -> None:
    """A tick a minute; what is published fails again, and is back after four minutes."""
    world, pace, asked, back_at = RedriveWorld(), Pace(), list[int](), [0]
    for minute in range(24 * 60):
        now = NOON + 60 * minute
        if minute in back_at:
            as_it_was(world, POISON, minute)
        depth = QueueDepth(len(world.waiting), 0)
        if not depth.total:
            pace = after_emptying(pace) if nothing_came_back(pace, now) else pace
        elif now >= due_at(pace, depth):
            pace = after_asking(pace, depth, now)
            asked.append(minute)
            published = len(world.stream)
            world.run()
            if len(world.stream) > published:
                back_at.append(minute + 4)
    assert len(asked) == MAX_TRIES
    assert len(world.parked()) == 1


def test_the_oldest_counts_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriven, "MAX_HASHES", 3)
    world = RedriveWorld()
    for line in (b"1", b"2", b"3", b"1", b"4"):
        counts = Redriven.load(world)
        counts.add([line])
        counts.save()
    kept = Redriven.load(world)
    assert [kept.times(line) for line in (b"1", b"2", b"3", b"4")] == [2, 0, 1, 1]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"times": [1]}', b'{"times": {"a": "b"}}', b"\xff"])
def test_counts_that_can_t_be_understood_count_nothing(body: bytes) -> None:
    world = RedriveWorld()
    world.own_objects[REDRIVEN_KEY] = body
    world.add("good", rejected(POISON[0]))
    assert world.run().counts == {"published": 1}


def test_origins_are_the_same_for_a_parked_batch_that_names_its_object() -> None:
    world = RedriveWorld()
    for cycle in range(MAX_TRIES):
        as_it_was(world, POISON, cycle)
        world.run()
    (parked,) = world.parked().values()
    assert origins_of(parked["body"]) == origins_of(notification(f"aws/lambda/id/{MAX_TRIES - 1}.json"))
