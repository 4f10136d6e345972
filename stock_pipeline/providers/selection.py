"""The provider that the settings name. What a provider does belongs to its own module."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from stock_pipeline.domain.capture import Capture
from stock_pipeline.errors import SettingsError
from stock_pipeline.providers.alpaca.rest import AlpacaProvider, alpaca_client
from stock_pipeline.providers.client.api_client import CallObserver
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import ReusedConnection
from stock_pipeline.providers.finnhub import FinnhubProvider, finnhub_client


class PollingProvider(Protocol):
    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]: ...


def provider_named(
    name: str,
    symbols: Sequence[str],
    feed: str,
    credentials: Credentials,
    *,
    now_ns: Callable[[], int],
    wait: Callable[[float], None],
    observer: CallObserver,
    look_back_seconds: int = 0,
    url: str | None = None,
) -> PollingProvider:
    """Return Alpaca (trades of `feed`) or Finnhub (quotes) under these credentials.

    look_back_seconds: how often Alpaca's overlap is read again
    url: address in place of the provider's own

    Raises `SettingsError` for another name.
    """
    http = ReusedConnection(url, now_ns) if url else None
    jitter = random.Random()
    if name == "alpaca":
        alpaca = alpaca_client(credentials, now_ns=now_ns, wait=wait, jitter=jitter, observer=observer, http=http)
        return AlpacaProvider(
            alpaca,
            symbols,
            now_ns,
            feed=feed,
            delay_seconds=feed_delay_seconds(feed),
            look_back_seconds=look_back_seconds,
        )
    if name == "finnhub":
        finnhub = finnhub_client(credentials, now_ns=now_ns, wait=wait, jitter=jitter, observer=observer, http=http)
        return FinnhubProvider(finnhub, symbols, now_ns)
    raise SettingsError(f"PROVIDER is {name!r}, which can't be polled: set it to alpaca or finnhub")


def feed_delay_seconds(feed: str) -> int:
    """Return how far behind the clock a capture of the feed ends.

    Alpaca's free plan refuses the last 15 minutes of `sip`.
    """
    return 16 * 60 if feed == "sip" else 0
