"""The stream against a real websocket server on loopback: connections that end, stay silent or are refused."""

import asyncio
import json
import logging
import random

import pytest
from websockets.asyncio.server import ServerConnection

from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.stream import OPENING_SECONDS, AlpacaStream, websocket_connect
from stock_pipeline.providers.client.http import CredentialsRefusedError, ProviderUnavailableError, RequestRefusedError
from stock_pipeline.providers.timestamps import parse_rfc3339_ns
from tests.support.clock import SECOND
from tests.support.provider_fakes import KEY, SECRET, credentials
from tests.support.stream_harness import (
    OPEN_NS,
    SILENCE_SECONDS,
    Running,
    Script,
    frame,
    mute,
    refusing,
    stream,
    welcome,
    welcoming,
)

CLOSED_NS = parse_rfc3339_ns("2026-01-03T15:00:00Z")


async def test_trades_come_after_authentication_and_subscription() -> None:
    async with stream(lambda r: [welcoming(r, 1, 2)]) as running:
        assert [await running.next_id(), await running.next_id()] == [1, 2]
        assert running.received == [
            {"action": "auth", "key": KEY, "secret": SECRET},
            {"action": "subscribe", "trades": ["AAPL"]},
        ]
        assert running.gaps_read == []
    assert running.observer.errors == []


async def test_a_start_in_the_past_is_read_by_rest_first() -> None:
    async with stream(lambda r: [welcoming(r)], start_ns=OPEN_NS - 900 * SECOND) as running:
        assert await running.next_id() == 1001
        assert running.gaps_read == [OPEN_NS - 900 * SECOND]


async def test_a_broken_connection_is_replaced_and_its_gap_is_read() -> None:
    async with stream(lambda r: [welcoming(r, 1, end=True), welcoming(r, 2)]) as running:
        assert {await running.next_id() for _ in range(3)} == {1, 2, 1001}
        assert running.gaps_read == [OPEN_NS]
        assert running.observer.errors == ["disconnected"]
        assert len(running.waits.back_offs) == 1


async def test_a_gap_begins_where_the_last_message_was_heard() -> None:
    go_on = asyncio.Event()

    def scripts(running: Running) -> list[Script]:
        async def first(socket: ServerConnection) -> None:
            await welcome(running.received, socket)
            await socket.send(json.dumps([frame(1)]))
            await go_on.wait()
            await socket.send(json.dumps([frame(2)]))

        return [first, welcoming(running, 3)]

    async with stream(scripts) as running:
        assert await running.next_id() == 1
        running.clock.ns += 30 * SECOND
        go_on.set()
        assert {await running.next_id() for _ in range(3)} == {2, 3, 1001}
        assert running.gaps_read == [OPEN_NS + 30 * SECOND]


async def test_a_silent_connection_is_replaced_in_an_open_market() -> None:
    async with stream(lambda r: [welcoming(r, 1), welcoming(r, 2)]) as running:
        assert await running.next_id() == 1
        running.clock.ns += 59 * SECOND
        await running.waits.end(SILENCE_SECONDS)
        running.clock.ns += SECOND
        await running.waits.end(SILENCE_SECONDS)
        assert {await running.next_id() for _ in range(2)} == {2, 1001}
        assert running.observer.errors == ["silent"]
        assert running.gaps_read == [OPEN_NS]


@pytest.mark.parametrize(
    "now_ns",
    [CLOSED_NS, parse_rfc3339_ns("2026-01-02T14:29:00Z"), parse_rfc3339_ns("2026-01-02T21:00:00Z")],
)
async def test_silence_is_no_fault_while_the_market_is_closed(now_ns: int) -> None:
    def closed(running: Running) -> None:
        running.clock.ns = now_ns - 3600 * SECOND

    async with stream(lambda r: [welcoming(r, 1)], prepare=closed) as running:
        assert await running.next_id() == 1
        running.clock.ns = now_ns
        await running.waits.end(SILENCE_SECONDS)
        await running.waits.end(SILENCE_SECONDS)
        assert running.observer.errors == []


async def test_the_silence_before_the_opening_does_not_count() -> None:
    opening = parse_rfc3339_ns("2026-01-02T14:30:00Z")

    def early(running: Running) -> None:
        running.clock.ns = opening - 3600 * SECOND

    async with stream(lambda r: [welcoming(r, 1), welcoming(r, 2)], prepare=early) as running:
        assert await running.next_id() == 1
        running.clock.ns = opening + 59 * SECOND
        await running.waits.end(SILENCE_SECONDS)
        running.clock.ns = opening + 60 * SECOND
        await running.waits.end(SILENCE_SECONDS)
        assert {await running.next_id() for _ in range(2)} == {2, 1001}
        assert running.observer.errors == ["silent"]


async def test_a_second_connection_of_the_key_is_waited_out() -> None:
    limit = refusing(406, "connection limit exceeded")
    async with stream(lambda r: [limit, limit, limit, welcoming(r, 1)]) as running:
        assert await running.next_id() == 1
        assert running.observer.errors == ["connection_limit"] * 3
        expected = random.Random(1)
        assert running.waits.back_offs == [expected.uniform(0, ceiling) for ceiling in (0.5, 1, 2)]


@pytest.mark.parametrize(
    ("code", "error"), [(402, CredentialsRefusedError), (409, CredentialsRefusedError), (405, RequestRefusedError)]
)
async def test_a_refused_key_or_request_ends_the_stream_at_once(
    code: int, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with stream(lambda r: [refusing(code, f"no, {KEY} {SECRET}")]) as running:
        with pytest.raises(error) as raised:
            await running.task
        assert KEY not in f"{raised.value!r}"
        assert SECRET not in f"{raised.value!r}"
        running.task = asyncio.create_task(asyncio.sleep(0))
        assert running.observer.requests == ["alpaca"]


async def test_the_key_is_in_no_log_even_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    async with stream(lambda r: [welcoming(r, 1)]) as running:
        await running.next_id()
    # The server of this test logs what it receives; the client must log nothing.
    records = [record for record in caplog.records if record.name != "websockets.server"]
    assert not [record for record in records if KEY in record.getMessage() or SECRET in record.getMessage()]


async def test_a_server_that_never_confirms_is_given_up() -> None:
    async with stream(lambda r: [mute, welcoming(r, 1)]) as running:
        await running.waits.end(OPENING_SECONDS)
        assert await running.next_id() == 1
        assert running.observer.errors == ["timeout"]


async def test_a_gap_that_can_not_be_read_is_tried_until_it_is_closed() -> None:
    def failing(running: Running) -> None:
        running.gap_errors = [ProviderUnavailableError("503"), RetryableError("stream throttled")]

    async with stream(lambda r: [welcoming(r, 1)], start_ns=OPEN_NS - SECOND, prepare=failing) as running:
        assert {await running.next_id() for _ in range(2)} == {1, 1003}
        assert running.gaps_read == [OPEN_NS - SECOND] * 3
        assert running.observer.errors == ["unavailable", "gap"]
        while not running.observer.gaps:
            await asyncio.sleep(0)
        assert running.observer.gaps == [(OPEN_NS - SECOND, OPEN_NS)]


async def test_a_gap_still_open_at_the_next_break_keeps_its_start() -> None:
    closing = asyncio.Event()

    def scripts(running: Running) -> list[Script]:
        async def first(socket: ServerConnection) -> None:
            await welcome(running.received, socket)
            await socket.send(json.dumps([frame(1)]))
            await closing.wait()

        return [first, welcoming(running, 2)]

    def failing(running: Running) -> None:
        async def blocked(seconds: float) -> None:
            if seconds in (OPENING_SECONDS, SILENCE_SECONDS):
                await asyncio.Event().wait()
            elif not closing.is_set():
                closing.set()
                await asyncio.Event().wait()

        running.gap_errors = [ProviderUnavailableError("503")]
        running.waits = blocked  # type: ignore[assignment]

    async with stream(scripts, start_ns=OPEN_NS - 99 * SECOND, prepare=failing) as running:
        assert {await running.next_id() for _ in range(3)} == {1, 2, 1002}
        assert running.gaps_read == [OPEN_NS - 99 * SECOND] * 2


async def test_a_permanent_error_of_the_gap_ends_the_stream() -> None:
    def failing(running: Running) -> None:
        running.gap_errors = [CredentialsRefusedError("check the key")]

    async with stream(lambda r: [welcoming(r)], start_ns=OPEN_NS - SECOND, prepare=failing) as running:
        with pytest.raises(CredentialsRefusedError):
            await running.task
        running.task = asyncio.create_task(asyncio.sleep(0))


async def test_a_server_that_is_away_is_tried_again() -> None:
    running = Running()
    stop_after = 3

    async def wait(seconds: float) -> None:
        running.waits.back_offs.append(seconds)
        if len(running.waits.back_offs) == stop_after:
            running.stop.set()

    subject = AlpacaStream(
        websocket_connect("ws://127.0.0.1:1/v2/iex"),
        credentials(),
        ["AAPL"],
        "iex",
        publish=running.publish,
        read_gap=running.read_gap,
        now_ns=running.clock.now_ns,
        wait=wait,
        jitter=random.Random(1),
        observer=running.observer,
    )
    await subject.run(running.stop)
    assert running.observer.errors == ["disconnected"] * 3


@pytest.mark.parametrize("url", ["ws://stream.data.alpaca.markets/v2/iex", "https://stream.data.alpaca.markets", "x"])
def test_a_url_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(RequestRefusedError, match="use wss"):
        websocket_connect(url)
