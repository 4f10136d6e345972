"""`stock-pipeline stream` between a websocket server, a REST API and AWS services, all on loopback."""

import asyncio
import json
import os
import threading
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from stock_pipeline.aws.checkpoint_object import CheckpointObject
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.commands.stream import carry
from stock_pipeline.domain.lake_layout import checkpoint_key
from stock_pipeline.local.stack import LocalStack, local_stack
from stock_pipeline.providers.client.http import CredentialsRefusedError
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.trade_json import decode_trade
from tests.support.provider_fakes import KEY, SECRET, Answer, scripted_server
from tests.support.stream_harness import frame

STREAM_TRADE, GAP_TRADE = 7, 3
STOOD_AT = 1767279600000000000
"""The position of the process before this one: 2026-01-01T15:00:00Z."""


def stream_lines(stack: LocalStack) -> list[bytes]:
    kinesis, name = stack.clients.kinesis, stack.settings.stream_name
    lines: list[bytes] = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        start = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        for record in kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]:
            lines += record["Data"].split(b"\n")
    return lines


def checkpoint(stack: LocalStack) -> CheckpointObject:
    lake = ObjectStore(stack.clients.s3, stack.settings.bucket_name)
    return CheckpointObject(lake, checkpoint_key("alpaca-stream", stack.settings.feed))


def position(stack: LocalStack) -> int:
    return int(checkpoint(stack).load() or 0)


def rest_page() -> Answer:
    """Return the API's answer for the gap: one trade that the stream never showed."""
    trade = {name: value for name, value in frame(GAP_TRADE).items() if name not in ("T", "S")}
    return Answer(json.dumps({"trades": {"AAPL": [trade]}, "next_page_token": None}).encode())


async def welcome_and_send(socket: ServerConnection, received: list[Any], handed_over: asyncio.Event) -> None:
    await socket.send('[{"T":"success","msg":"connected"}]')
    received.append(json.loads(await socket.recv()))
    await socket.send('[{"T":"success","msg":"authenticated"}]')
    received.append(json.loads(await socket.recv()))
    await socket.send('[{"T":"subscription","trades":["AAPL"]}]')
    await socket.send(json.dumps([frame(STREAM_TRADE)]))
    handed_over.set()
    await socket.wait_closed()


def test_streamed_and_missed_trades_reach_kinesis(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was missed since the last process is read too."""

    async def scenario(stack: LocalStack, settings: Settings) -> list[Any]:
        stop, sent = asyncio.Event(), asyncio.Event()
        received: list[Any] = []

        async def serve_one(socket: ServerConnection) -> None:
            await welcome_and_send(socket, received, sent)

        async with asyncio.timeout(25), serve(serve_one, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            carrying = asyncio.create_task(carry(settings, stop, f"ws://127.0.0.1:{port}", tell_seconds=0.05))
            await sent.wait()
            while await asyncio.to_thread(position, stack) == STOOD_AT or len(stream_lines(stack)) < 2:
                assert not carrying.done(), carrying
            stop.set()
            await carrying
        return received

    with scripted_server() as api, local_stack({"PATH": os.environ["PATH"]}) as stack:
        for name, value in {**stack.environ, "PROVIDER_URL": api.url, "SYMBOLS": "AAPL"}.items():
            monkeypatch.setenv(name, value)
        settings = Settings.from_env(os.environ)
        stack.clients.secretsmanager.create_secret(
            Name=settings.provider_secret_name, SecretString=json.dumps({"key": KEY, "secret": SECRET})
        )
        checkpoint(stack).save(str(STOOD_AT))
        api.play(rest_page())

        received = asyncio.run(scenario(stack, settings))

        assert received[0] == {"action": "auth", "key": KEY, "secret": SECRET}
        trades = sorted(decode_trade(line).sequence for line in stream_lines(stack))
        assert trades == [GAP_TRADE, STREAM_TRADE]
        assert position(stack) > STOOD_AT
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("live", "gap", "check"))]
        assert "start=2026-01-01" in api.seen[0].path
    output = capsys.readouterr().out
    assert sum(json.loads(line).get("PublishedTrades", 0) for line in output.splitlines()) == 2
    assert KEY not in output


def test_a_refused_key_ends_the_process_with_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(socket: ServerConnection) -> None:
        await socket.send('[{"T":"success","msg":"connected"}]')
        await socket.recv()
        await socket.send('[{"T":"error","code":402,"msg":"auth failed"}]')

    async def scenario(settings: Settings) -> None:
        async with asyncio.timeout(60), serve(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await carry(settings, asyncio.Event(), f"ws://127.0.0.1:{port}")

    with local_stack({"PATH": os.environ["PATH"]}) as stack:
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        settings = Settings.from_env(os.environ)
        stack.clients.secretsmanager.create_secret(
            Name=settings.provider_secret_name, SecretString=json.dumps({"key": KEY, "secret": SECRET})
        )
        with pytest.raises(CredentialsRefusedError, match="stock-pipeline/dev/provider") as error:
            asyncio.run(scenario(settings))
    assert KEY not in str(error.value)
