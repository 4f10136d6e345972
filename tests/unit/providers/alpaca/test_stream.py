"""The stream against a real websocket server on loopback: connections that end, stay silent or are refused."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import RetryableError
from stock_pipeline.providers.alpaca.gap import OVERLAP_SECONDS, SILENCE_SECONDS, SPACING_SECONDS
from stock_pipeline.providers.alpaca.message import controls_of
from stock_pipeline.providers.alpaca.stream import Limits, StreamState
from stock_pipeline.providers.alpaca.trade import read_rows
from stock_pipeline.providers.alpaca.websocket import OPENING_SECONDS, websocket_connect
from stock_pipeline.providers.client.http import CredentialsRefusedError, ProviderUnavailableError, RequestRefusedError
from stock_pipeline.providers.timestamps import format_rfc3339_ns, parse_rfc3339_ns
from tests.support.clock import SECOND
from tests.support.provider_fakes import KEY, SECRET, credentials
from tests.support.stream_harness import (
    HELD,
    OPEN_NS,
    PING_SECONDS,
    Running,
    Script,
    Waits,
    frame,
    mute,
    refusing,
    stream,
    websocket_server,
    welcome,
    welcoming,
)

CLOSED_NS = parse_rfc3339_ns("2026-01-03T15:00:00Z")


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


async def followed(running: Running) -> int:
    """Let the overlap pass, after which the position follows the subscription, and return when that is."""
    assert {await running.next_id() for _ in range(2)} == {1, 1001}
    running.clock.ns += round(OVERLAP_SECONDS) * SECOND
    await running.waits.end(OVERLAP_SECONDS)
    assert await running.next_id() == 1002
    return running.clock.ns


def unheard(at_ns: int) -> Trade:
    """A trade that REST shows and the stream does not."""
    piece = {**frame(77), "t": format_rfc3339_ns(at_ns)}
    (row,) = read_rows(json.dumps(piece).encode(), "AAPL", "iex", OPEN_NS)
    return row


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


def test_the_state_says_what_the_stream_is_doing() -> None:
    async def scenario() -> None:
        async with stream(lambda r: [welcoming(r, 1)]) as running:
            await running.next_id()
            assert running.subject.state is StreamState.LISTENING
        assert running.subject.state is StreamState.STOPPED

    asyncio.run(scenario())
