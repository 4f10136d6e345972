"""What went by between two connections is read from REST."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection

from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.stream import Limits
from stock_pipeline.providers.client.http import CredentialsRefusedError, ProviderUnavailableError
from tests.support.clock import SECOND
from tests.support.stream_harness import (
    HELD,
    OPEN_NS,
    Running,
    Script,
    Waits,
    followed,
    frame,
    stream,
    welcome,
    welcoming,
)


def test_a_start_in_the_past_is_read_by_rest_first() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r)], start_ns=OPEN_NS - 900 * SECOND) as running:
            assert await running.next_id() == 1001
            assert running.gaps_read == [OPEN_NS - 900 * SECOND]

    asyncio.run(scenario())


def test_a_broken_connection_is_replaced_and_its_gap_is_read() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r, 1, end=True), welcoming(r, 2)]) as running:
            assert {await running.next_id() for _ in range(3)} == {1, 2, 1001}
            assert running.gaps_read == [OPEN_NS]
            assert running.observer.errors == ["disconnected"]
            assert len(running.waits.back_offs) == 1

    asyncio.run(scenario())


def test_a_gap_begins_where_the_last_message_was_heard() -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()

        def scripts(running: Running) -> list[Script]:
            async def first(socket: ServerConnection) -> None:
                await welcome(running.received, socket)
                await socket.send(json.dumps([frame(1)]))
                await go_on.wait()
                await socket.send(json.dumps([frame(2)]))

            return [first, welcoming(running, 3)]

        async with stream(scripts) as running:
            followed_ns = await followed(running)
            running.clock.ns += 30 * SECOND
            go_on.set()
            assert {await running.next_id() for _ in range(3)} == {2, 3, 1003}
            assert running.gaps_read[2:] == [followed_ns + 30 * SECOND]

    asyncio.run(scenario())


def test_a_gap_that_can_not_be_read_is_tried_until_it_is_closed() -> None:
    async def scenario() -> None:
        def failing(running: Running) -> None:
            running.gap_errors = [ProviderUnavailableError("503"), RetryableError("stream throttled")]

        async with stream(lambda r: [welcoming(r, 1)], start_ns=OPEN_NS - SECOND, prepare=failing) as running:
            assert {await running.next_id() for _ in range(2)} == {1, 1003}
            assert running.gaps_read == [OPEN_NS - SECOND] * 3
            assert running.observer.errors == ["unavailable", "gap"]
            while not running.observer.gaps:
                await asyncio.sleep(0)
            assert running.observer.gaps == [(OPEN_NS - SECOND, OPEN_NS)]

    asyncio.run(scenario())


def test_a_gap_still_open_at_the_next_break_keeps_its_start() -> None:
    async def scenario() -> None:
        closing = asyncio.Event()

        def scripts(running: Running) -> list[Script]:
            async def first(socket: ServerConnection) -> None:
                await welcome(running.received, socket)
                await socket.send(json.dumps([frame(1)]))
                await closing.wait()

            return [first, welcoming(running, 2)]

        def failing(running: Running) -> None:
            class Blocked(Waits):
                async def __call__(self, seconds: float) -> None:
                    await super().__call__(seconds)
                    if seconds not in HELD and len(self.back_offs) == 1 and seconds != Limits.linger_seconds:
                        # REST has failed, and before it is asked again the connection ends.
                        closing.set()
                        while running.observer.requests != ["alpaca"] * 2:
                            await asyncio.sleep(0)

            running.gap_errors = [ProviderUnavailableError("503")]
            running.waits = Blocked()

        async with stream(scripts, start_ns=OPEN_NS - 99 * SECOND, prepare=failing) as running:
            assert {await running.next_id() for _ in range(3)} == {1, 2, 1002}
            assert running.gaps_read == [OPEN_NS - 99 * SECOND] * 2

    asyncio.run(scenario())


def test_a_permanent_error_of_the_gap_ends_the_stream() -> None:
    async def scenario() -> None:
        def failing(running: Running) -> None:
            running.gap_errors = [CredentialsRefusedError("check the key")]

        async with stream(lambda r: [welcoming(r)], start_ns=OPEN_NS - SECOND, prepare=failing) as running:
            with pytest.raises(CredentialsRefusedError):
                await running.task
            running.task = asyncio.create_task(asyncio.sleep(0))

    asyncio.run(scenario())
