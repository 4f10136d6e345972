"""A connection that says nothing is replaced where REST shows that trades went by."""

import asyncio

import pytest

from stock_pipeline.providers.alpaca.gap import OVERLAP_SECONDS, SILENCE_SECONDS, SPACING_SECONDS
from stock_pipeline.providers.timestamps import parse_rfc3339_ns
from tests.support.clock import SECOND
from tests.support.stream_harness import (
    OPEN_NS,
    PING_SECONDS,
    Running,
    followed,
    stream,
    unheard,
    welcoming,
)

CLOSED_NS = parse_rfc3339_ns("2026-01-03T15:00:00Z")


async def a_quiet_minute(running: Running) -> None:
    """Let a minute pass in which the server answers a ping and says nothing, and REST be asked about it."""
    await running.waits.held(SILENCE_SECONDS)
    running.clock.ns += 61 * SECOND
    await running.waits.end(PING_SECONDS)
    # Once the next ping waits, this one is answered.
    await running.waits.held(PING_SECONDS)
    await running.waits.end(SILENCE_SECONDS)


def test_a_silent_connection_is_replaced_where_rest_shows_trades() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r, 1), welcoming(r, 2)]) as running:
            followed_ns = await followed(running)
            running.unheard = [unheard(followed_ns + 30 * SECOND)]
            await a_quiet_minute(running)
            assert await running.next_id() == 77
            running.clock.ns += round(SPACING_SECONDS) * SECOND
            assert {await running.next_id() for _ in range(2)} == {2, 1003}
            assert running.observer.errors == ["silent"]
            assert running.gaps_read[2:] == [followed_ns]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "now_ns",
    [
        OPEN_NS,
        CLOSED_NS,
        parse_rfc3339_ns("2026-01-02T14:29:00Z"),
        parse_rfc3339_ns("2026-01-02T14:30:00Z"),
        parse_rfc3339_ns("2026-01-02T21:00:00Z"),
    ],
)
def test_silence_is_no_fault_at_any_hour_where_rest_shows_no_trades(now_ns: int) -> None:
    async def scenario() -> None:
        def then(running: Running) -> None:
            running.clock.ns = now_ns - (61 + round(OVERLAP_SECONDS)) * SECOND

        async with stream(lambda r: [welcoming(r, 1)], prepare=then) as running:
            await followed(running)
            await a_quiet_minute(running)
            await running.waits.held(SILENCE_SECONDS)
            assert running.asked == ["AAPL"]
            await a_quiet_minute(running)
            await running.waits.held(SILENCE_SECONDS)
            assert running.asked == ["AAPL"] * 2
            assert running.observer.errors == []
            assert running.observer.requests == ["alpaca"]

    asyncio.run(scenario())


def test_a_trade_that_is_on_its_way_is_no_silence() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r, 1)]) as running:
            followed_ns = await followed(running)
            running.unheard = [unheard(followed_ns + 59 * SECOND)]
            await a_quiet_minute(running)
            assert await running.next_id() == 77
            await running.waits.held(SILENCE_SECONDS)
            assert running.observer.errors == []

    asyncio.run(scenario())
