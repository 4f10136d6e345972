"""`stock-pipeline stream` between a websocket server, a REST API and AWS services, all on loopback."""

import asyncio
import json
import threading
from typing import Any

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from stock_pipeline.aws.checkpoint_object import CheckpointObject
from stock_pipeline.commands.stream import carry
from stock_pipeline.domain.lake_layout import checkpoint_key
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.providers.client.http import CredentialsRefusedError, ProviderPermanentError
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.trade_json import decode_trade
from tests.support.clock import START_NS
from tests.support.provider_fakes import KEY, SECRET, scripted_server
from tests.support.stream import stream_lines
from tests.support.stream_harness import GAP_TRADE, STREAM_TRADE, mute, refusing, rest_page, sending, websocket_server

STOOD_AT = START_NS
"""Where the process before this one stood."""


def checkpoint(stack: LocalStack) -> CheckpointObject:
    return CheckpointObject(stack.wiring.objects, checkpoint_key("alpaca-stream", stack.settings.feed))


def position(stack: LocalStack) -> int:
    return int(checkpoint(stack).load() or 0)


@pytest.fixture
def settings(stack: LocalStack) -> Settings:
    """The stack's, of which the provider's secret is stored."""
    name = stack.settings.provider_secret_name
    stack.clients.secretsmanager.create_secret(Name=name, SecretString=json.dumps({"key": KEY, "secret": SECRET}))
    return stack.settings


async def test_streamed_and_missed_trades_reach_kinesis(
    stack: LocalStack, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    stop, received = asyncio.Event(), list[Any]()
    checkpoint(stack).save(str(STOOD_AT))
    with scripted_server() as api:
        api.play(rest_page())
        settings = Settings.from_env({**stack.environ, "PROVIDER_URL": api.url, "SYMBOLS": "AAPL"})
        async with websocket_server(sending(received)) as url:
            carrying = asyncio.create_task(carry(settings, stop, url, tell_seconds=0.05))
            while await asyncio.to_thread(position, stack) == STOOD_AT or len(stream_lines(stack)) < 2:
                assert not carrying.done(), carrying
            stop.set()
            await carrying
    assert received[0] == {"action": "auth", "key": KEY, "secret": SECRET}
    trades = sorted(decode_trade(line).sequence for line in stream_lines(stack))
    assert trades == [GAP_TRADE, STREAM_TRADE]
    assert position(stack) > STOOD_AT
    assert "start=2026-01-01" in api.seen[0].path
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("live", "gap", "check"))]
    output = capsys.readouterr().out
    assert sum(json.loads(line).get("PublishedTrades", 0) for line in output.splitlines()) == 2
    assert KEY not in output


async def test_a_refused_key_ends_the_process_with_one_clear_error(settings: Settings) -> None:
    async with websocket_server(refusing(402, "auth failed")) as url:
        with pytest.raises(CredentialsRefusedError, match="stock-pipeline/dev/provider") as error:
            await carry(settings, asyncio.Event(), url)
    assert KEY not in str(error.value)


async def test_a_rotated_key_is_fetched_at_its_first_refusal_and_the_stream_goes_on(
    stack: LocalStack, settings: Settings
) -> None:
    stop, received = asyncio.Event(), list[Any]()
    rotated = {"key": "PKROTATED", "secret": "also-rotated"}
    scripts = [refusing(402, "auth failed"), sending(received)]

    async def next_script(socket: ServerConnection) -> None:
        if len(scripts) == 2:
            await asyncio.to_thread(
                stack.clients.secretsmanager.put_secret_value,
                SecretId=settings.provider_secret_name,
                SecretString=json.dumps(rotated),
            )
        await scripts.pop(0)(socket)

    with scripted_server() as api:
        api.play(rest_page())
        settings = Settings.from_env({**stack.environ, "PROVIDER_URL": api.url, "SYMBOLS": "AAPL"})
        async with websocket_server(next_script) as url:
            carrying = asyncio.create_task(carry(settings, stop, url, tell_seconds=0.05))
            while len(await asyncio.to_thread(stream_lines, stack)) < 1:
                assert not carrying.done(), carrying
            stop.set()
            await carrying
    assert received[0] == {"action": "auth", **rotated}


async def test_a_first_start_stores_where_it_begins_before_it_asks_for_anything(
    stack: LocalStack, settings: Settings
) -> None:
    stored_at_the_handshake: list[int] = []

    async def look(socket: ServerConnection) -> None:
        stored_at_the_handshake.append(await asyncio.to_thread(position, stack))
        await refusing(402, "auth failed")(socket)

    async with websocket_server(look) as url:
        with pytest.raises(CredentialsRefusedError):
            await carry(settings, asyncio.Event(), url)
    assert 0 < stored_at_the_handshake[0] <= position(stack)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_handshake_ends_the_process_with_its_status_in_error_log_and_metric(
    settings: Settings, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(socket: ServerConnection, request: Request) -> Response:
        return socket.respond(status, "by the test")

    async with serve(mute, "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2/boats"
        with pytest.raises(ProviderPermanentError, match=f"for the feed 'boats' with {status}: check FEED"):
            await carry(settings, asyncio.Event(), url)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = [line for line in lines if "ProviderErrors" in line]
    assert (told["Kind"], told["ProviderErrors"]) == (f"handshake_{status}", 1)
    assert f"'boats' with {status}" in told["last_error"]
