"""Connections, keys and subscriptions that the server refuses, for now or for good."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from stock_pipeline.providers.alpaca.message import controls_of
from stock_pipeline.providers.client.http import CredentialsRefusedError, RequestRefusedError
from tests.support.provider_fakes import KEY, SECRET, credentials
from tests.support.stream_harness import (
    Running,
    Script,
    mute,
    refusing,
    stream,
    websocket_server,
    welcome,
    welcoming,
)


def test_a_second_connection_of_the_key_is_waited_out() -> None:
    async def scenario() -> None:
        limit = refusing(406, "connection limit exceeded")
        async with stream(lambda r: [limit, limit, limit, welcoming(r, 1)]) as running:
            assert await running.next_id() == 1
            assert running.observer.errors == ["connection_limit"] * 3
            expected = random.Random(1)
            assert running.waits.back_offs == [expected.uniform(0, ceiling) for ceiling in (0.5, 1, 2)]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("code", "error"), [(402, CredentialsRefusedError), (409, CredentialsRefusedError), (405, RequestRefusedError)]
)
def test_a_refused_key_or_request_ends_the_stream_at_once(
    code: int, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with stream(lambda r: [refusing(code, f"no, {KEY} {SECRET}")]) as running:
            with pytest.raises(error) as raised:
                await running.task
            assert KEY not in f"{raised.value!r}"
            assert SECRET not in f"{raised.value!r}"
            running.task = asyncio.create_task(asyncio.sleep(0))
            assert running.observer.requests == ["alpaca"]

    caplog.set_level(logging.DEBUG)
    asyncio.run(scenario())


@asynccontextmanager
async def refused_handshakes(*statuses: int, then: Script) -> AsyncIterator[tuple[Running, asyncio.Task[None]]]:
    """A stream whose handshakes are answered with HTTP statuses first."""
    running, remaining = Running(), list(statuses)

    def answer(socket: ServerConnection, request: Request) -> Response | None:
        return socket.respond(remaining.pop(0), "by the test") if remaining else None

    async with asyncio.timeout(20), serve(then, "127.0.0.1", 0, process_request=answer) as server:
        port = server.sockets[0].getsockname()[1]
        subject = running.stream(f"ws://127.0.0.1:{port}/v2/boats")
        task = asyncio.create_task(subject.run(running.stop))
        yield running, task
        running.stop.set()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, CredentialsRefusedError),
        (403, CredentialsRefusedError),
        (404, RequestRefusedError),
        (302, RequestRefusedError),
    ],
)
def test_a_refused_handshake_ends_the_stream_with_status_and_feed(status: int, error: type[Exception]) -> None:
    async def scenario() -> None:
        async with refused_handshakes(status, then=mute) as (running, task):
            with pytest.raises(error, match=f"for the feed 'boats' with {status}: check FEED"):
                await task
            assert running.observer.errors == [f"handshake_{status}"]
            assert str(status) in running.observer.said[0]

    asyncio.run(scenario())


def test_a_handshake_refused_for_now_is_tried_again_with_back_off_and_its_status_counted() -> None:
    async def scenario() -> None:
        served = asyncio.Event()

        async def serve_one(socket: ServerConnection) -> None:
            served.set()
            await socket.wait_closed()

        async with refused_handshakes(429, 500, 503, then=serve_one) as (running, task):
            await served.wait()
            assert not task.done()
            assert running.observer.errors == ["handshake_429", "handshake_500", "handshake_503"]
            expected = random.Random(1)
            assert running.waits.back_offs == [expected.uniform(0, ceiling) for ceiling in (0.5, 1, 2)]

    asyncio.run(scenario())


def test_a_subscription_confirmed_with_fewer_symbols_is_an_error_that_names_the_others() -> None:
    async def scenario() -> None:
        running = Running()
        served = asyncio.Event()

        async def confirm_one(socket: ServerConnection) -> None:
            await welcome(running.received, socket)
            served.set()
            await socket.wait_closed()

        async with asyncio.timeout(20), websocket_server(confirm_one) as url:
            subject = running.stream(f"{url}/v2/iex", ("AAPL", "MSFT", "TSLA"))
            task = asyncio.create_task(subject.run(running.stop))
            await served.wait()
            # They are read by REST.
            assert await running.next_id() == 1001
            running.stop.set()
            await task
        assert running.received[1] == {"action": "subscribe", "trades": ["AAPL", "MSFT", "TSLA"]}
        assert running.observer.errors == ["subscription"]
        assert "did not confirm MSFT, TSLA" in running.observer.said[0]

    asyncio.run(scenario())


def test_a_confirmation_names_its_symbols() -> None:
    (control,) = controls_of(b'[{"T":"subscription","trades":["AAPL"]},{"T":"t"}]', credentials())
    assert (control.kind, control.trades) == ("subscription", ("AAPL",))
