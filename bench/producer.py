"""CPU that the polling producer takes for each new trade, over a model of Alpaca's API, on a simulated clock.

`python -m bench.producer`. `domain/cost_limits.py` has the figure. A Lambda has its memory / 1,769 of a processor.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import msgspec

from stock_pipeline.providers.alpaca.rest import AlpacaProvider, alpaca_client
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import HttpAnswer
from stock_pipeline.providers.client.token_bucket import TokenBucket
from stock_pipeline.streaming.producer import Producer
from stock_pipeline.streaming.provider_calls import ProviderCalls
from stock_pipeline.streaming.publisher import Publisher

SECOND = 10**9
START_NS = 1_767_366_000 * SECOND
PAGE = 10_000
SYMBOLS = 500
ROUNDS = 5


@dataclass
class Exchange:
    """Alpaca's trades at an even rate, in pages. `seconds` is the CPU that the model itself takes."""

    trades_per_second: int
    seconds: float = 0.0
    rows: int = 0

    def get(self, target: str, _headers: object, _deadline_ns: int) -> HttpAnswer:
        began = time.process_time()
        asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        first, last = (self._number(asked[name]) for name in ("start", "end"))
        begin = int(asked.get("page_token", first))
        end = min(begin + PAGE, last + 1)
        trades: dict[str, list[object]] = {}
        for number in range(begin, end):
            trades.setdefault(f"S{number % SYMBOLS}", []).append(self._row(number))
        body = msgspec.json.encode({"trades": trades, "next_page_token": str(end) if end <= last else None})
        self.rows += end - begin
        self.seconds += time.process_time() - began
        return HttpAnswer(200, {}, body)

    def _number(self, at: str) -> int:
        seconds = datetime.fromisoformat(at[:19]).replace(tzinfo=UTC).timestamp() - START_NS / SECOND
        return int((seconds + 3600) * self.trades_per_second)

    def _row(self, number: int) -> object:
        ns = START_NS - 3600 * SECOND + number * SECOND // self.trades_per_second
        at = datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns % SECOND:09}Z"
        return {"t": at, "x": "V", "p": 101.25, "s": 100, "c": ["@", "I"], "i": number, "z": "C"}


@dataclass
class Taken:
    """A stream, queue and bucket that take everything."""

    lines: int = 0
    documents: list[bytes] = field(default_factory=list)

    def put(self, records: Sequence[object]) -> list[str | None]:
        return [None] * len(records)

    def send(self, documents: Sequence[bytes]) -> None:
        self.documents += documents


def seconds_a_trade(trades_per_second: int, minutes: int = 10) -> tuple[float, float]:
    """Return CPU seconds and rows read for each published trade, polling every five seconds."""
    clock = [START_NS]

    def now_ns() -> int:
        return clock[0]

    def wait(seconds: float) -> None:
        clock[0] += round(seconds * SECOND)

    exchange, taken = Exchange(trades_per_second), Taken()
    client = alpaca_client(
        Credentials("a secret", "KEY", "SECRET"),
        now_ns=now_ns,
        wait=wait,
        jitter=random.Random(1),
        observer=ProviderCalls(),
        http=exchange,
        bucket=TokenBucket(10**6, 10**6, now_ns, wait),
    )
    provider = AlpacaProvider(client, [f"S{number}" for number in range(SYMBOLS)], now_ns, look_back_seconds=60)
    publisher = Publisher(taken, taken, 64, now_ns, lambda _attempt: None)  # type: ignore[arg-type]
    producer = Producer(publisher, taken)
    checkpoint: str | None = None
    published = 0
    began = 0.0
    for poll in range(12 * minutes):
        if poll == 24:
            # the first polls fill what is remembered
            published, exchange.rows, exchange.seconds, began = 0, 0, 0.0, time.process_time()
        for capture in provider.poll(checkpoint, now_ns() + 50 * SECOND):
            published += producer.run([capture], now_ns() + 50 * SECOND).published
            checkpoint = capture.checkpoint
        clock[0] += 5 * SECOND
    return (time.process_time() - began - exchange.seconds) / published, exchange.rows / published


def main() -> None:
    for rate in (100, 1000):
        best, rows = min(seconds_a_trade(rate, 5) for _ in range(ROUNDS if rate == 100 else 2))
        print(f"{rate:>5} trades/s: {best * 1e6:.1f} µs of CPU and {rows:.1f} rows for each trade")


if __name__ == "__main__":
    main()
