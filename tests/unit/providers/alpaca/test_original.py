"""A cancel whose original the stream does not remember finds it by REST, in its own session, or is parked whole."""

import asyncio
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.session import is_trading_day, session_bounds_ns, session_date_of
from stock_pipeline.providers.alpaca.original import windows_before
from stock_pipeline.providers.alpaca.position import StreamPosition
from tests.support.clock import SECOND
from tests.support.simulated_exchange import Exchange, Faults, Print, prints
from tests.support.virtual_time import START_NS, simulate

NUMBER = 10**6 + 10_500
"""Of the trade at second 10.5."""


def cancel_at(second: float, number: int = NUMBER) -> Print:
    return Print(START_NS + round(second * SECOND), "AAPL", number, is_cancel=True)


def at(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York"))
    return int(moment.timestamp()) * SECOND


@given(st.integers(1_200_000_000, 1_890_000_000))
def test_the_windows_are_the_session_so_far_and_the_trading_day_before_it(second: int) -> None:
    time_ns = second * SECOND
    begin_ns, _ = session_bounds_ns(session_date_of(time_ns))
    *today, before = windows_before(time_ns, "iex")
    assert [start_ns for start_ns, _ in today] == [*(end_ns for _, end_ns in today[1:]), *([begin_ns] if today else [])]
    assert not today or today[0][1] == time_ns
    day = session_date_of(before[0])
    assert is_trading_day(day)
    assert day < session_date_of(time_ns)
    assert (before[0], before[1] + 1) == session_bounds_ns(day)


def test_the_day_before_a_monday_is_its_friday() -> None:
    *_, (start_ns, _) = windows_before(at("2026-01-05 10:00"), "iex")
    assert datetime.fromtimestamp(start_ns / SECOND, UTC).date().isoformat() == "2026-01-02"


@pytest.mark.parametrize("after", [700, 5000, 20_000, 86_400 * 3])
def test_a_cancel_after_a_restart_voids_its_original_in_the_originals_session(after: int) -> None:
    async def scenario() -> None:
        # So many that the original is not in the memory of the next process.
        exchange = Exchange([*prints("AAPL", 0.5, 100), cancel_at(after)], Faults(page_trades=20))
        position = await exchange.run(["AAPL"], 400)
        assert exchange.cancelled == set()
        await asyncio.sleep(after - 420)
        # It has read what it missed, and listens.
        await exchange.run(["AAPL"], after + 20, position)
        assert exchange.cancelled == {f"iex:AAPL:20260102:V:{NUMBER}", f"iex:AAPL:20260102:V:{NUMBER}:1.5x1:"}
        assert exchange.parked == []

    simulate(scenario())


def test_a_cancel_waits_for_a_rest_that_is_away_and_holds_no_trade_up() -> None:
    async def scenario() -> None:
        exchange = Exchange([*prints("AAPL", 0.5, 100), *prints("AAPL", 400.5, 600), cancel_at(410)])
        position = await exchange.run(["AAPL"], 390)
        exchange.faults = Faults(rest_refuses=lambda second: second < 500)
        running = asyncio.create_task(exchange.run(["AAPL"], 700, position))
        await asyncio.sleep(60)
        assert exchange.missing(400, 440) == []
        assert exchange.cancelled == set()
        await running
        assert f"iex:AAPL:20260102:V:{NUMBER}" in exchange.cancelled

    simulate(scenario())


def test_a_cancel_of_a_missed_trade_that_rest_does_not_show_yet_is_no_orphan() -> None:
    async def scenario() -> None:
        missed = 10**6 + 100_500
        faults = Faults([100, 10**6], away=lambda second: 100 < second < 105, rest_lag=120)
        exchange = Exchange([*prints("AAPL", 0.5, 900), cancel_at(125, missed)], faults)
        await exchange.run(["AAPL"], 1000)
        assert exchange.parked == []
        assert f"iex:AAPL:20260102:V:{missed}" in exchange.cancelled

    simulate(scenario())


def test_amendments_are_settled_while_one_waits_to_be_looked_for_again() -> None:
    async def scenario() -> None:
        exchange = Exchange([*prints("AAPL", 0.5, 100), cancel_at(50, number=77), cancel_at(51)])
        await exchange.run(["AAPL"], 60)
        assert f"iex:AAPL:20260102:V:{NUMBER}" in exchange.cancelled

    simulate(scenario())


def test_a_cancel_of_a_trade_that_nobody_knows_is_parked_with_its_whole_message() -> None:
    async def scenario() -> None:
        unknown = cancel_at(50, number=77)
        exchange = Exchange([*prints("AAPL", 0.5, 100), unknown])
        running = asyncio.create_task(exchange.run(["AAPL"], 400))
        # REST may be behind by less than the overlap.
        await asyncio.sleep(340)
        assert exchange.parked == []
        await running
        assert exchange.cancelled == set()
        (orphan,) = exchange.parked
        assert (orphan.reason, [json.loads(orphan.payload)]) == ("orphan", json.loads(unknown.frame()))

    simulate(scenario())


def test_a_cancel_that_waits_when_the_process_is_killed_is_settled_by_the_next() -> None:
    async def scenario() -> None:
        tape = [*prints("AAPL", 0.5, 100), cancel_at(5000), cancel_at(5001, number=77)]
        exchange = Exchange(tape)
        await exchange.run(["AAPL"], 400)
        await asyncio.sleep(4580)
        exchange.faults = Faults(rest_refuses=lambda _: True)
        position = StreamPosition.of((await exchange.run(["AAPL"], 5020)).text())
        assert (exchange.cancelled, exchange.parked, len(position.amendments)) == (set(), [], 2)
        await asyncio.sleep(4000)
        exchange.faults = Faults()
        position = await exchange.run(["AAPL"], 9400, position)
        assert exchange.cancelled == {f"iex:AAPL:20260102:V:{NUMBER}", f"iex:AAPL:20260102:V:{NUMBER}:1.5x1:"}
        assert [orphan.reason for orphan in exchange.parked] == ["orphan"]
        assert position.amendments == ()

    simulate(scenario())
