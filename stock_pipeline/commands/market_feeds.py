"""Feeds of `stock-pipeline up`: a simulated market, or Alpaca's trades if the environment has a key."""

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from stock_pipeline.errors import StockPipelineError

if TYPE_CHECKING:
    from stock_pipeline.local.stack import LocalStack

KEY, SECRET = "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"
"""The variables that Alpaca's own clients read."""


class Feed(Protocol):
    """A source of trades for the stream.

    lines: published so far.
    failure: the error that ended it, if any.
    """

    lines: int
    failure: StockPipelineError | None

    @property
    def source(self) -> str: ...

    def run(self, stop: threading.Event) -> None: ...


def market_feed(stack: "LocalStack", trades_per_second: int, logs: Path) -> Feed:
    if os.environ.get(KEY) and os.environ.get(SECRET):
        return alpaca_feed(stack, os.environ[KEY], os.environ[SECRET], logs)
    return simulated_feed(stack, trades_per_second)


def alpaca_feed(stack: "LocalStack", key: str, secret: str, logs: Path, url: str | None = None) -> Feed:
    """Store the key in the local Secrets Manager, where the pipeline reads it.

    url: another websocket address than Alpaca's.
    """
    stack.clients.secretsmanager.create_secret(
        Name=stack.settings.provider_secret_name, SecretString=json.dumps({"key": key, "secret": secret})
    )
    return AlpacaFeed(stack, logs / "stream.log", url)


@dataclass
class AlpacaFeed:
    """`stock-pipeline stream` in a thread.

    log: takes its lines.
    """

    stack: "LocalStack"
    log: Path
    url: str | None = None
    lines: int = 0
    failure: StockPipelineError | None = None

    @property
    def source(self) -> str:
        settings = self.stack.settings
        return f"Alpaca, feed {settings.feed}: {', '.join(settings.symbols)}; none while the market is closed"

    def run(self, stop: threading.Event) -> None:
        import asyncio

        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w", encoding="utf-8", buffering=1) as log:
            try:
                asyncio.run(self._carry_until(stop, log))
            except StockPipelineError as error:
                self.failure = error

    async def _carry_until(self, stop: threading.Event, log: IO[str]) -> None:
        import asyncio

        from stock_pipeline.commands.stream import carry

        def write(line: str) -> None:
            self.lines += json.loads(line).get("PublishedTrades", 0)
            log.write(line + "\n")

        stopped = asyncio.Event()
        carrying = asyncio.create_task(carry(self.stack.settings, stopped, self.url, write=write))
        carrying.add_done_callback(lambda _: stop.set())
        await asyncio.to_thread(stop.wait)
        stopped.set()
        await carrying


def simulated_feed(stack: "LocalStack", trades_per_second: int) -> Feed:
    from stock_pipeline.domain.session import session_date_of
    from stock_pipeline.local.live_feed import LiveFeed, endless_arrivals, event_time_of
    from stock_pipeline.wiring import utc_now

    now = utc_now()
    session_date = session_date_of(int(event_time_of(now).timestamp()) * 10**9)
    arrivals = endless_arrivals(session_date, int(now.timestamp()))
    return LiveFeed(stack.wiring.producer.publisher, stack.wiring.producer, arrivals, trades_per_second)
