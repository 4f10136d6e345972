"""What feeds `stock-pipeline up`: with a key Alpaca's stream, between servers on loopback."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stock_pipeline.commands.market_feeds import AlpacaFeed, alpaca_feed, market_feed
from stock_pipeline.local.live_feed import LiveFeed
from stock_pipeline.local.stack import LocalStack, local_stack
from stock_pipeline.streaming.trade_json import decode_trade
from tests.support.provider_fakes import KEY, SECRET, scripted_server
from tests.support.stream import stream_lines
from tests.support.stream_harness import STREAM_TRADE, Script, refusing, rest_page, sending, websocket_server


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    with scripted_server() as api, local_stack({**os.environ, "PROVIDER_URL": api.url, "SYMBOLS": "AAPL"}) as running:
        api.play(rest_page())
        for name, value in running.environ.items():
            monkeypatch.setenv(name, value)
        yield running


async def run_against(stack: LocalStack, log: Path, script: Script, until: Callable[[AlpacaFeed], bool]) -> AlpacaFeed:
    """The feed after it ran against a websocket server until something held."""
    async with websocket_server(script) as url:
        feed = alpaca_feed(stack, KEY, SECRET, log, url)
        assert isinstance(feed, AlpacaFeed)
        stop = threading.Event()
        running = asyncio.create_task(asyncio.to_thread(feed.run, stop))
        while not until(feed) and not running.done():
            await asyncio.sleep(0)
            await asyncio.to_thread(stop.wait, 0.1)
        stop.set()
        await running
    return feed


async def test_alpacas_trades_reach_the_stream_until_it_is_stopped(stack: LocalStack, tmp_path: Path) -> None:
    received: list[Any] = []
    feed = await run_against(stack, tmp_path / "logs", sending(received), lambda _: bool(stream_lines(stack)))
    assert feed.failure is None
    assert received[0] == {"action": "auth", "key": KEY, "secret": SECRET}
    assert STREAM_TRADE in {decode_trade(line).sequence for line in stream_lines(stack)}
    assert feed.lines == len(stream_lines(stack))
    log = (tmp_path / "logs" / "stream.log").read_text()
    assert "PublishedTrades" in log
    assert KEY not in log


async def test_a_refused_key_ends_it_with_its_reason(stack: LocalStack, tmp_path: Path) -> None:
    feed = await run_against(stack, tmp_path, refusing(402, "auth failed"), lambda feed: bool(feed.failure))
    assert feed.failure
    assert stack.settings.provider_secret_name in str(feed.failure)
    assert SECRET not in str(feed.failure)


def test_a_key_in_the_environment_chooses_alpaca(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APCA_API_KEY_ID", raising=False)
    monkeypatch.delenv("APCA_API_SECRET_KEY", raising=False)
    simulated = market_feed(stack, 7, tmp_path)
    assert isinstance(simulated, LiveFeed)
    assert simulated.source == "simulated, 7 a second; one in 500 is broken on purpose"
    monkeypatch.setenv("APCA_API_KEY_ID", KEY)
    assert isinstance(market_feed(stack, 7, tmp_path), LiveFeed)  # half a key is no key
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
    alpaca = market_feed(stack, 7, tmp_path)
    assert alpaca.source == "Alpaca, feed iex: AAPL; none while the market is closed"
