"""The stream through hours of trouble in virtual time: nothing that the tape said is lost, wherever it is killed."""

import asyncio
import random

import pytest

from stock_pipeline.providers.alpaca.position import StreamPosition
from tests.support.provider_fakes import SECOND
from tests.support.simulated_exchange import Exchange, Faults, Print, elapsed, prints
from tests.support.virtual_time import START_NS, simulate

HOUR = 3600.0


def at(second: float) -> StreamPosition:
    return StreamPosition(START_NS + round(second * SECOND))


def second_of(position: StreamPosition) -> float:
    return (position.complete_to_ns - START_NS) / SECOND


def test_an_hour_of_refused_puts_loses_nothing_and_the_position_follows_what_is_published() -> None:
    async def scenario() -> None:
        # A publish of a refusing stream takes until its deadline, then its records are kept.
        faults = Faults(publish_seconds=lambda second: 15.0 if 60 <= second < 60 + HOUR else 0.03)
        exchange = Exchange(prints("AAPL", 0.5, 5000), faults)
        position = await exchange.run(["AAPL"], 60 + HOUR / 2)
        assert exchange.connections == 1
        assert second_of(position) <= max(exchange.published.values())
        assert exchange.missing(0, second_of(position)) == []
        await exchange.run(["AAPL"], 5000, position)
        assert exchange.missing(0, 4990) == []

    simulate(scenario())


def test_reading_goes_on_while_a_publish_takes_half_a_minute() -> None:
    async def scenario() -> None:
        exchange = Exchange(prints("AAPL", 0.5, 600, every=0.05), Faults(publish_seconds=lambda _: 30.0))
        await exchange.run(["AAPL"], 640)
        assert exchange.connections == 1
        assert exchange.observer.errors == []
        assert exchange.missing(0, 570) == []
        assert len(exchange.publishes) <= 22

    simulate(scenario())


@pytest.mark.parametrize("lag", [2.0, 10.0, 120.0])
def test_the_last_trades_before_a_subscription_are_read_once_rest_knows_them(lag: float) -> None:
    async def scenario() -> None:
        faults = Faults([100, 10**6], away=lambda second: 50 < second < 105, rest_lag=lag)
        exchange = Exchange(prints("AAPL", 0.5, 1500), faults)
        position = await exchange.run(["AAPL"], 1500)
        assert exchange.connections == 2
        assert exchange.missing(0, 1490) == []
        assert second_of(position) > 1480

    simulate(scenario())


def test_the_position_does_not_pass_a_gap_before_it_was_read_after_the_overlap() -> None:
    async def scenario() -> None:
        faults = Faults([100, 10**6], away=lambda second: 50 < second < 105, rest_lag=10)
        exchange = Exchange(prints("AAPL", 0.5, 1500), faults)
        position = await exchange.run(["AAPL"], 250)
        assert second_of(position) <= 110
        restarted = Exchange(exchange.tape, Faults(rest_lag=10), published=exchange.published)
        await restarted.run(["AAPL"], 1500, position)
        assert restarted.missing(0, 1490) == []

    simulate(scenario())


def test_a_gap_of_two_thousand_pages_is_read_once_across_restarts() -> None:
    async def scenario() -> None:
        tape = prints("AAPL", 0, 19_999)
        faults = Faults(page_trades=10, page_seconds=1.0, rest_lag=10)
        exchange = Exchange(tape, faults)
        await asyncio.sleep(20_000)
        position = at(0)
        for stop in (20_700.0, 21_400.0, 24_000.0):
            position = await exchange.run(["AAPL"], stop, position)
        assert exchange.missing(0, 20_000) == []
        assert second_of(position) > 23_900
        # The window after the overlap, and later ones, are some sixty pages each.
        assert len(exchange.windows) < 2000 + 200
        first = [place for place in exchange.windows if place.end_ns == exchange.windows[0].end_ns]
        assert len(first) <= 2000 + 2
        # A page that was published and not confirmed is read again.
        assert len({place.page_token for place in first}) >= len(first) - 2

    simulate(scenario())


def test_a_reconnect_every_two_seconds_starves_nothing_and_reads_one_page_at_a_time() -> None:
    async def scenario() -> None:
        faults = Faults(connection_seconds=[2.0], page_seconds=20.0, rest_lag=10)
        exchange = Exchange(prints("AAPL", 0.5, 900, every=0.25), faults)
        position = await exchange.run(["AAPL"], 900)
        assert exchange.connections > 200
        assert exchange.most_reading == 1
        assert second_of(position) > 800
        assert exchange.missing(0, second_of(position) - 300) == []
        waits = [exchange.published[p.number] - (p.time_ns - START_NS) / SECOND for p in exchange.tape[:3000]]
        assert sorted(waits)[len(waits) // 2] < 1
        # Nothing is lost by killing it.
        exchange.faults = Faults(rest_lag=10)
        await exchange.run(["AAPL"], 1500, position)
        assert exchange.missing(0, 900) == []

    simulate(scenario())


def test_one_symbol_that_falls_silent_among_busy_ones_is_noticed_and_read() -> None:
    async def scenario() -> None:
        tape = prints("AAPL", 0.5, 900) + prints("MSFT", 0.75, 900)
        for number, one in enumerate(tape):
            tape[number] = type(one)(one.time_ns, one.symbol, one.number + (10**9 if one.symbol == "MSFT" else 0))
        exchange = Exchange(tape)
        exchange.faults = Faults(
            left_out=lambda said: (
                said.symbol == "MSFT" and exchange.connections == 1 and said.time_ns > tape[100].time_ns
            )
        )
        position = await exchange.run(["AAPL", "MSFT"], 900)
        assert exchange.observer.errors == ["silent"]
        assert "MSFT" in exchange.observer.said[0]
        assert exchange.connections == 2
        assert exchange.missing(0, 890) == []
        assert second_of(position) > 800

    simulate(scenario())


@pytest.mark.parametrize("killed_at", [130.0, 159.0, 170.0, 400.0])
def test_a_symbol_that_is_silent_when_the_process_is_killed_is_read_by_the_next(killed_at: float) -> None:
    async def scenario() -> None:
        busy, thin = prints("AAPL", 0.5, 1500), prints("MSFT", 0.123, 1500, every=7)
        exchange = Exchange([*busy, *thin])
        # REST is away as well, so that nobody knows whether it is silent.
        exchange.faults = Faults(
            left_out=lambda said: said.symbol == "MSFT" and said.time_ns > START_NS + 50 * SECOND,
            rest_refuses=lambda second: second < killed_at,
        )
        position = await exchange.run(["AAPL", "MSFT"], killed_at)
        exchange.faults = Faults()
        await exchange.run(["AAPL", "MSFT"], 1500, position)
        assert exchange.missing(0, 1490) == []

    simulate(scenario())


def test_a_symbol_left_out_is_read_from_where_it_fell_silent_though_later_frames_are_still_published() -> None:
    async def scenario() -> None:
        busy, dropped = prints("AAPL", 0.5, 3000), prints("MSFT", 0.123, 3000, every=7)
        exchange = Exchange([*busy, *dropped])
        # MSFT is left out and REST is away for longer than the overlap. As the connection ends, a slow publisher
        # still holds its frames.
        exchange.faults = Faults(
            connection_seconds=[1200, 10**6],
            left_out=lambda said: said.symbol == "MSFT" and exchange.connections == 1 and elapsed() > 600,
            rest_refuses=lambda second: 500 < second < 1260,
            publish_seconds=lambda second: 30.0 if 1100 < second < 1250 else 0.03,
        )
        position = await exchange.run(["AAPL", "MSFT"], 3000)
        assert exchange.connections == 2
        assert exchange.missing(0, 2900) == []
        assert second_of(position) > 2800

    simulate(scenario())


def test_an_unreadable_trade_that_rest_shows_again_and_again_is_handed_over_once() -> None:
    async def scenario() -> None:
        broken = Print(START_NS + 450 * SECOND, "MSFT", 77, shares=0.5e-6)
        # The stream leaves it out, and every connection's gap begins an overlap early.
        faults = Faults([400, 100, 100, 100, 100, 10**6], left_out=lambda said: said == broken)
        exchange = Exchange([*prints("AAPL", 0.5, 1500), broken], faults)
        await exchange.run(["AAPL", "MSFT"], 1500)
        assert len([place for place in exchange.windows if place.start_ns <= broken.time_ns <= place.end_ns]) > 3
        assert [piece.reason for piece in exchange.parked] == ["value"]

    simulate(scenario())


def test_a_quiet_market_is_one_connection_and_a_position_that_moves() -> None:
    async def scenario() -> None:
        exchange = Exchange(prints("AAPL", 30, 2 * HOUR, every=600) + prints("MSFT", 31, 31))
        position = await exchange.run(["AAPL", "MSFT"], 2 * HOUR + 70)
        assert exchange.connections == 1
        assert exchange.observer.errors == []
        assert exchange.missing(0, 2 * HOUR) == []
        assert second_of(position) > 2 * HOUR - 60

    simulate(scenario())


def test_a_connection_that_answers_no_ping_is_replaced() -> None:
    async def scenario() -> None:
        exchange = Exchange([], Faults(pongs=False))
        await exchange.run(["AAPL"], 36)
        assert exchange.observer.errors == ["disconnected"]
        assert exchange.observer.said == ["alpaca's stream did not answer a ping"]
        assert exchange.connections == 2

    simulate(scenario())


def test_more_than_the_buffer_holds_is_a_clean_reconnect_and_a_gap() -> None:
    async def scenario() -> None:
        faults = Faults(publish_seconds=lambda second: 60.0 if second < 200 else 0.03, rest_lag=10)
        exchange = Exchange(prints("AAPL", 0.5, 1500, every=0.2), faults)
        position = await exchange.run(["AAPL"], 1500, buffer_bytes=20_000, batch_bytes=10_000)
        assert set(exchange.observer.errors) == {"backlog"}
        assert "fills the buffer" in exchange.observer.said[0]
        assert exchange.missing(0, 1490) == []
        assert second_of(position) > 1400

    simulate(scenario())


def test_a_queue_that_is_away_for_a_moment_does_not_end_the_stream() -> None:
    async def scenario() -> None:
        exchange = Exchange(prints("AAPL", 0.5, 400), Faults(publish_fails=lambda second: 50 < second < 90))
        await exchange.run(["AAPL"], 400)
        assert set(exchange.observer.errors) == {"publish"}
        assert exchange.connections == 1
        assert exchange.missing(0, 390) == []

    simulate(scenario())


def test_symbols_that_were_not_confirmed_are_noticed_and_read_by_rest() -> None:
    async def scenario() -> None:
        busy, lacking = prints("AAPL", 0.5, 1500), prints("MSFT", 0.123, 1500, every=7)
        exchange = Exchange([*busy, *lacking], Faults(confirmed=lambda asked: asked[:1], rest_lag=10))
        position = await exchange.run(["AAPL", "MSFT"], 1500)
        assert exchange.observer.errors == ["subscription"]
        assert "did not confirm MSFT" in exchange.observer.said[0]
        assert exchange.connections == 1
        assert exchange.missing(0, 1190) == []
        exchange.faults = Faults()
        await exchange.run(["AAPL", "MSFT"], 2100, position)
        assert exchange.missing(0, 1500) == []

    simulate(scenario())


def test_a_stopped_stream_publishes_what_it_has_heard() -> None:
    async def scenario() -> None:
        exchange = Exchange(prints("AAPL", 0.5, 1500), Faults(publish_seconds=lambda _: 4.0))
        stop = asyncio.Event()
        running = asyncio.create_task(exchange.stream(["AAPL"]).run(stop))
        await asyncio.sleep(100)
        stop.set()
        await running
        assert elapsed() <= 110
        assert exchange.missing(0, 100) == []

    simulate(scenario())


@pytest.mark.parametrize("seed", range(10))
def test_whatever_fails_and_wherever_it_is_killed_nothing_is_lost(seed: int) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)
        tape = prints("AAPL", 0.5, 2500, every=chance.choice([1, 3])) + prints("MSFT", 0.123, 2500, every=47)
        exchange = Exchange(tape)
        position: StreamPosition | None = None
        second = 0.0
        while second < 2000:
            away, back = sorted((chance.uniform(0, 2500), chance.uniform(0, 2500)))
            slow, failing, silent = chance.choice([0.03, 0.5, 15.0]), chance.random() < 0.5, chance.random() < 0.5
            exchange.faults = Faults(
                connection_seconds=[chance.choice([2, 30, 400, 10**6]) for _ in range(4)],
                away=lambda now: now % 400 < 20,
                rest_lag=chance.choice([0, 2, 10, 100]),
                page_seconds=chance.choice([0.05, 1, 20]),
                page_trades=chance.choice([50, 10_000]),
                rest_refuses=lambda now, away=away, back=back: away < now < min(back, away + 900),
                publish_seconds=lambda now, slow=slow: slow,
                publish_fails=lambda now, failing=failing: failing and now % 100 < 10,
                left_out=lambda said, silent=silent: silent and said.symbol == "MSFT",
            )
            second += chance.uniform(5, 900)
            position = await exchange.run(
                ["AAPL", "MSFT"], second, position, buffer_bytes=chance.choice([20_000, 10**8]), batch_bytes=10_000
            )
            if chance.random() < 0.5:
                await asyncio.sleep(chance.uniform(0, 300))
                second = elapsed()
            # What is stored is text.
            position = StreamPosition.of(position.text())
        exchange.faults = Faults()
        await exchange.run(["AAPL", "MSFT"], 6000, position)
        assert exchange.missing(0, 2500) == []

    simulate(scenario())
