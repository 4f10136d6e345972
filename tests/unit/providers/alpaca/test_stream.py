"""The stream against a real websocket server on loopback: connections that end, stay silent or are refused."""

import asyncio
import json
import logging

import pytest
from websockets.asyncio.server import ServerConnection

from stock_pipeline.providers.alpaca.gap import OVERLAP_SECONDS
from stock_pipeline.providers.alpaca.stream import StreamState
from stock_pipeline.providers.alpaca.websocket import OPENING_SECONDS, websocket_connect
from stock_pipeline.providers.client.http import RequestRefusedError
from stock_pipeline.providers.timestamps import parse_rfc3339_ns
from tests.support.provider_fakes import KEY, SECRET
from tests.support.stream_harness import (
    OPEN_NS,
    Running,
    Script,
    frame,
    mute,
    stream,
    unheard,
    welcome,
    welcoming,
)


def test_trades_come_after_authentication_and_subscription() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r, 1, 2)]) as running:
            assert [await running.next_id(), await running.next_id()] == [1, 2]
            assert running.received == [
                {"action": "auth", "key": KEY, "secret": SECRET},
                {"action": "subscribe", "trades": ["AAPL"]},
            ]
            # Only what the tape said before the subscription.
            assert await running.next_id() == 1001
            assert running.gaps_read == [OPEN_NS]
        assert running.observer.errors == []

    asyncio.run(scenario())


def test_a_cancel_of_a_trade_that_is_not_remembered_takes_the_originals_time_and_session_from_rest() -> None:
    async def scenario() -> None:
        yesterday_ns = parse_rfc3339_ns("2025-12-31T20:00:00Z")

        def scripts(running: Running) -> list[Script]:
            running.unheard = [unheard(yesterday_ns)]

            async def cancelling(socket: ServerConnection) -> None:
                await welcome(running.received, socket)
                await socket.send(json.dumps([{**frame(77), "T": "x", "a": "C", "t": "2026-01-02T15:00:00Z"}]))
                await socket.wait_closed()

            return [cancelling]

        async with stream(scripts) as running:
            rows = [(await running.captures.get()).trades[0] for _ in range(3)]
            void = [row for row in rows if row.status == "cancelled"]
            assert [row.event_id for row in void] == ["iex:AAPL:20251231:V:77", "iex:AAPL:20251231:V:77:1.5x1:"]
            assert {row.event_time_ns for row in void} == {yesterday_ns}
        assert running.observer.errors == []

    asyncio.run(scenario())


def test_the_key_is_in_no_log_even_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r, 1)]) as running:
            await running.next_id()

    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    asyncio.run(scenario())
    # The server of this test logs what it receives; the client must log nothing.
    records = [record for record in caplog.records if record.name != "websockets.server"]
    assert not [record for record in records if KEY in record.getMessage() or SECRET in record.getMessage()]


def test_a_server_that_never_confirms_is_given_up() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [mute, welcoming(r, 1)]) as running:
            await running.waits.end(OPENING_SECONDS)
            assert await running.next_id() == 1
            assert running.observer.errors == ["timeout"]

    asyncio.run(scenario())


def test_a_server_that_is_away_is_tried_again() -> None:
    async def scenario() -> None:
        running = Running()
        stop_after = 3
        back_offs: list[float] = []

        async def wait(seconds: float) -> None:
            if seconds == OVERLAP_SECONDS:
                await running.waits(seconds)
            back_offs.append(seconds)
            if len(back_offs) == stop_after:
                running.stop.set()

        running.waits = wait  # type: ignore[assignment]
        subject = running.stream("ws://127.0.0.1:1/v2/iex")
        async with asyncio.timeout(20):
            await subject.run(running.stop)
        assert running.observer.errors == ["disconnected"] * 3

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["ws://stream.data.alpaca.markets/v2/iex", "https://stream.data.alpaca.markets", "x"])
def test_a_url_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(RequestRefusedError, match="use wss"):
        websocket_connect(url)


def test_the_state_says_what_the_stream_is_doing() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r, 1)]) as running:
            await running.next_id()
            assert running.subject.state is StreamState.LISTENING
        assert running.subject.state is StreamState.STOPPED

    asyncio.run(scenario())
