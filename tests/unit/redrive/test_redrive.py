"""Every repairable line reaches the stream, a hopeless one is parked, and nothing is deleted before."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.lake_layout import (
    REDRIVEN_KEY,
    REOPENED_PREFIX,
    reopened_key,
    session_date_of_reopened_key,
)
from stock_pipeline.domain.redrive_plan import MAX_TRIES
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.redrive.line_rate import LineRate
from stock_pipeline.redrive.report import RedriveReport
from stock_pipeline.streaming.telemetry import Telemetry
from stock_pipeline.streaming.trade_json import decode_trade, encode_trade
from tests.fakes.crashes import Crashed, fuses
from tests.support.alarms import firing
from tests.support.clock import Clock
from tests.support.redrive_world import EVENTS, EXPIRED, RedriveWorld, full_world, published_trades, rejected
from tests.support.trades import SESSION, trade, trade_on


def test_every_form_is_redriven_or_parked_but_for_what_expired() -> None:
    world, repairable, never = full_world()
    for _ in range(2 * MAX_TRIES):
        world.run()
    assert set(world.stream) == repairable
    assert len(world.stream) == len(repairable)
    assert set(world.parked()) == never
    assert set(world.waiting) == EXPIRED


def test_a_crash_at_any_side_effect_deletes_nothing_too_early() -> None:
    for fuse in fuses(fewest=20, after=[True]):
        world, repairable, never = full_world(fuse)
        bodies = dict(world.waiting)
        for _ in range(3 * MAX_TRIES):
            try:
                world.run()
            except Crashed:
                gone = bodies.keys() - world.waiting.keys()
                books = {REDRIVEN_KEY, reopened_key(SESSION)}
                entries = [b for key, b in world.own_objects.items() if key not in books]
                kept = set(world.parked()) | {json.loads(b)["message_id"] for b in entries}
                assert gone <= kept, f"deleted before it was safe, at effect {fuse.at}"
                told = reopened_key(SESSION) in world.own_objects
                assert told or not gone & {"rejected", "oversized"}, f"deleted before it was told, at effect {fuse.at}"
        assert set(world.stream) == repairable
        expected = sorted(map(decode_trade, repairable), key=lambda row: row.event_id)
        assert published_trades(tuple(world.stream)) == expected
        assert set(world.parked()) == never
        assert set(world.waiting) == EXPIRED


def test_the_sessions_of_published_lines_are_told_once_a_run() -> None:
    world = RedriveWorld()
    days = [date(2018, 1, 2), date(2018, 1, 5), date(1999, 1, 4)]
    lines = [encode_trade(trade_on(day, number)) for day in days for number in range(3)]
    for number, line in enumerate([*lines, b"not json"]):
        world.add(f"message-{number}", rejected(line))
    world.run(dry_run=True)
    assert world.own_objects == {}
    world.fuse.count = 0
    world.run()
    assert {key for key in world.own_objects if key.startswith(REOPENED_PREFIX)} == set(map(reopened_key, days))
    assert all(session_date_of_reopened_key(reopened_key(day)) == day for day in days)
    published, ledger_entries, counts = 2 * len(lines), len(lines) + 1, 1
    assert world.fuse.count == published + ledger_entries + counts + len(days)


def test_a_stream_that_refuses_keeps_the_message() -> None:
    world = RedriveWorld(refuses=True)
    world.add("rejected-good", rejected(encode_trade(trade(1))))
    report = world.run()
    assert report.counts == {"left": 1}
    assert "rejected-good" in world.waiting
    assert world.own_objects == {}


def test_a_hopeless_message_does_not_keep_others_waiting() -> None:
    world = RedriveWorld()
    for n in range(30):
        world.add(f"bad-{n:02}", rejected(b"not json", n))
    world.add("good", rejected(encode_trade(trade(1))))
    report = world.run(limit=100)
    assert world.stream == [encode_trade(trade(1))]
    assert report.counts == {"left": 30, "published": 1}


def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    world, _, _ = full_world()
    report = world.run(dry_run=True)
    assert report.counts == {"published": 9, "left": 5, "parked": 3, "expired": 3}
    assert world.fuse.count == 0
    assert len(world.waiting) == 20


def test_a_dry_run_says_what_is_wrong_with_a_line_and_how_it_begins() -> None:
    world = RedriveWorld()
    world.add("bad", rejected(b'{"price": "a lot",\n' + b" " * 100 + b'"symbol": "' + b"A" * 100 + b'"}'))
    world.add("good", rejected(encode_trade(trade(1))))
    whys = {outcome.message_id: outcome.why for outcome in world.run(dry_run=True).outcomes}
    detail = json.loads(world.waiting["bad"])["detail"]
    begins = f'{{"price": "a lot", "symbol": "{"A" * 29}…'
    assert len(begins) == 60
    assert whys == {"bad": f"the line is still no trade: schema, {detail}, {begins}", "good": ""}


def test_the_ledger_says_what_was_done_when_and_by_which_run() -> None:
    world = RedriveWorld()
    good = rejected(encode_trade(trade(1)))
    world.add("repaired", rejected(b"not json"))
    world.run()
    world.waiting["repaired"] = good.decode()
    world.run()
    assert world.ledger("repaired") == [
        {
            "at": "2026-01-16T00:00:00+00:00",
            "run_id": "run-1",
            "action": "left",
            "why": "the line is still no trade",
            "lines": 0,
            "rejected": 0,
        },
        {
            "at": "2026-01-17T00:00:00+00:00",
            "run_id": "run-2",
            "action": "published",
            "why": "",
            "lines": 1,
            "rejected": 0,
        },
    ]


def test_a_parked_message_has_all_its_tries_with_it() -> None:
    world = RedriveWorld()
    world.add("bad", rejected(b"not json"))
    for _ in range(MAX_TRIES):
        assert world.waiting
        world.run()
    assert world.waiting == {}
    parked = world.parked()["bad"]
    assert [one["run_id"] for one in parked["tries"]] == [f"run-{n}" for n in range(1, MAX_TRIES + 1)]
    assert [one["action"] for one in parked["tries"]] == ["left"] * (MAX_TRIES - 1) + ["parked"]
    assert parked["tries"] == world.ledger("bad")
    assert parked["why"] == "the line is still no trade, 5 times"
    assert parked["body"] == rejected(b"not json").decode()


def test_looks_that_are_no_tries_park_nothing() -> None:
    world = RedriveWorld()
    world.add("bad", rejected(b"not json"))
    for _ in range(2 * MAX_TRIES):
        world.run(dry_run=True)
        world.run(reason=Reason.VALUE)
    assert world.deliveries["bad"] > 2 * MAX_TRIES
    (outcome,) = world.run().outcomes
    assert (outcome.action, outcome.tries) == ("left", 1)


def test_a_stream_that_refuses_for_long_parks_nothing() -> None:
    world = RedriveWorld(refuses=True)
    world.add("good", rejected(encode_trade(trade(1))))
    for _ in range(2 * MAX_TRIES):
        assert world.run().counts == {"left": 1}
    world.refuses = False
    (outcome,) = world.run().outcomes
    assert (outcome.action, outcome.tries) == ("published", 1)


def test_an_expired_message_stays_until_it_is_parked_on_demand() -> None:
    world, _, _ = full_world()
    for _ in range(3 * MAX_TRIES):
        assert world.run().counts["expired"] == 3
    assert set(world.waiting) == EXPIRED
    assert not EXPIRED & set(world.parked())
    assert [one["action"] for one in world.ledger("expired")] == ["expired"]  # once, however often it is looked at
    assert world.run(dry_run=True, park_expired=True).counts == {"parked": 3}
    assert set(world.waiting) == EXPIRED
    assert world.run(park_expired=True).counts == {"parked": 3}
    assert world.waiting == {}
    assert "no longer" in world.parked()["expired"]["why"]


@pytest.mark.parametrize("limit", [1, 7, 11])
def test_a_limit_bounds_the_messages_of_a_run(limit: int) -> None:
    world, _, _ = full_world()
    assert len(world.run(limit=limit).outcomes) == limit


def test_a_reason_chooses_lines_that_were_rejected_for_it() -> None:
    world, _, _ = full_world()
    lines = [encode_trade(trade(number)) for number in (20, 21)]
    world.add("not-json", rejected(lines[0], reason=Reason.NOT_JSON))
    world.add("value", rejected(lines[1], reason=Reason.VALUE))
    report = world.run(reason=Reason.VALUE)
    assert {outcome.message_id for outcome in report.outcomes} == {"value", "good-value", "bad-value"}
    assert lines[1] in world.stream
    assert lines[0] not in world.stream
    assert set(world.put_back) == set(world.waiting) - {"bad-value"}
    assert len(world.put_back) == 19


def test_a_dry_run_puts_every_message_back() -> None:
    world, _, _ = full_world()
    world.run(dry_run=True)
    assert sorted(world.put_back) == sorted(world.waiting)


def test_the_rate_spaces_messages_and_leaves_what_has_no_time() -> None:
    clock = Clock(0)
    world = RedriveWorld()
    for number in range(4):
        world.add(f"good-{number}", rejected(encode_trade(trade(number))))
    rate = LineRate(1, clock.now_ns, clock.wait)
    report = world.run(rate=rate)
    assert report.counts == {"published": 4}
    assert clock.waits == [1.0, 1.0, 1.0]

    rate.turn(10_000, 10**13)
    world.add("late", rejected(encode_trade(trade(9))))
    assert world.run(rate=rate).counts == {"left": 1}
    assert world.put_back == ["late"]
    assert "late" in world.waiting


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(1, 1000))
def test_no_more_lines_go_than_the_rate_allows(messages: list[int], lines_per_second: int) -> None:
    clock = Clock(5)
    rate = LineRate(lines_per_second, clock.now_ns, clock.wait)
    gone = 0
    for lines in messages:
        assert rate.turn(lines, 10**18)
        assert gone * 10**9 <= (clock.ns - 5 + len(messages)) * lines_per_second
        gone += lines


def test_what_redrive_gives_up_or_leaves_undone_is_an_alarm() -> None:
    world = RedriveWorld()
    world.add("good", rejected(encode_trade(trade(1))))
    world.add("bad", rejected(b"not json"))
    lines: list[str] = []
    telemetry = Telemetry("redrive", "dev", lines.append, lambda: 0)
    for _ in range(MAX_TRIES - 1):
        telemetry.record(world.run().events("request-1"))
    assert firing([lines]) == set()
    telemetry.record(world.run().events("request-1"))
    assert firing([lines]) == {"parked-messages"}
    telemetry.record(RedriveReport((), "ClientError: it is away").events("request-1"))
    assert firing([lines]) == {"parked-messages", "redrive-interrupted"}


def test_the_age_of_what_redrive_leaves_is_an_alarm_after_a_week() -> None:
    world = RedriveWorld()
    world.add("good", rejected(encode_trade(trade(1))))
    world.add("expired", (EVENTS / "docs_kinesis_on_failure_sqs.json").read_text())
    ages = [world.run().oldest_left_seconds / 86400 for _ in range(8)]
    assert ages == [1, 2, 3, 4, 5, 6, 7, 8]
    lines: list[str] = []
    telemetry = Telemetry("redrive", "dev", lines.append, lambda: 0)
    telemetry.record(world.run().events("request-1"))
    assert firing([lines]) == {"dead-letter-age", "expired-records"}
    world.waiting.clear()
    assert world.run().oldest_left_seconds == 0
