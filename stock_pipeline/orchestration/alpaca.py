"""Alpaca's API as assets ask it: under the settings' key, for as long as a step runs."""

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from stock_pipeline.errors import PermanentError
from stock_pipeline.providers.alpaca.rest import BASE_URL, alpaca_client
from stock_pipeline.providers.client.api_client import ApiClient
from stock_pipeline.providers.client.http import ReusedConnection
from stock_pipeline.providers.client.token_bucket import TokenBucket
from stock_pipeline.wiring import Wiring

PRICE_API = "price_api"
"""The pool of the assets that call: one step at a time in all runs, because the budget is the key's."""


@contextmanager
def alpaca_calls(wiring: Wiring, what: str, instead: str, bucket: TokenBucket | None = None) -> Iterator[ApiClient]:
    """Yield a client. Raises `PermanentError` if the settings' provider is another, or its key can't be read.

    what: comes from Alpaca; instead: what an operator does with another provider.
    bucket: the calls that the step may make, by default all of the key's.
    """
    if wiring.settings.provider != "alpaca":
        raise PermanentError(f"{what} from Alpaca, and PROVIDER is {wiring.settings.provider}: {instead}")
    http = ReusedConnection(wiring.settings.provider_url or BASE_URL, time.time_ns)
    with closing(http):
        yield alpaca_client(
            wiring.credentials(),
            now_ns=time.time_ns,
            wait=time.sleep,
            jitter=random.Random(),
            observer=_Silent(),
            http=http,
            bucket=bucket,
        )


@dataclass
class _Silent:
    """Observer of a client whose last error is the run's."""

    said: list[str] = field(default_factory=list)

    def request(self, provider: str) -> None:
        pass

    def error(self, provider: str, kind: str, said: str) -> None:
        self.said.append(f"{provider} {kind}: {said}")

    def rate_limit_wait(self, provider: str, seconds: float) -> None:
        pass
