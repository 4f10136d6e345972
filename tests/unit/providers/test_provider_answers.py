"""Every provider meets every recorded answer and error body.

No trade is invented, no failure passes for success, and every error is one of the providers' own.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from stock_pipeline.providers.client.http import (
    CredentialsRefusedError,
    HttpClient,
    ProviderPermanentError,
    ProviderRetryableError,
    ReusedConnection,
)
from stock_pipeline.providers.client.token_bucket import TokenBucket
from stock_pipeline.providers.finnhub import FinnhubProvider, finnhub_client
from tests.support.clock import Clock
from tests.support.provider_fakes import (
    DATA,
    Answer,
    RecordingObserver,
    alpaca_over,
    credentials,
    deadline,
    scripted_server,
)

ERRORS = sorted(path.stem for path in (DATA / "errors").glob("*.json"))
ANSWERS = sorted(path.stem for path in (DATA / "alpaca").glob("*.json"))
TRADE_ANSWERS = {"TestGetMultiTrades.1", "TestGetTrades.1", "TestGetTrades_Update.1"}


def finnhub_over(http: HttpClient, clock: Clock) -> FinnhubProvider:
    client = finnhub_client(
        credentials(),
        now_ns=clock.now_ns,
        wait=clock.wait,
        jitter=random.Random(1),
        observer=RecordingObserver(),
        http=http,
        bucket=TokenBucket(1000, 1000, clock.now_ns, clock.wait),
    )
    return FinnhubProvider(client, ["AAPL"], clock.now_ns)


def poll(make: Callable[[HttpClient, Clock], Any], answer: Answer) -> tuple[list[Any], Exception | None]:
    """The captures of one poll against a server that gives this answer for ever, and how it ended."""
    clock = Clock()
    with scripted_server() as server:
        server.play(*[answer] * 50)
        http = ReusedConnection(server.url, clock.now_ns)
        captures = []
        try:
            captures.extend(make(http, clock).poll(None, deadline(clock)))
        except (ProviderPermanentError, ProviderRetryableError) as error:
            return captures, error
        finally:
            http.close()
    return captures, None


@pytest.mark.parametrize("make", [alpaca_over, finnhub_over], ids=["alpaca", "finnhub"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 429, 500, 503])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_body_is_an_error_under_every_status(
    make: Callable[[HttpClient, Clock], Any], name: str, status: int
) -> None:
    captures, error = poll(make, Answer((DATA / "errors" / f"{name}.json").read_bytes(), status))
    assert error is not None
    assert not any(capture.trades for capture in captures)
    if status in (401, 403):
        assert isinstance(error, CredentialsRefusedError)
    if status in (429, 500, 503):
        assert isinstance(error, ProviderRetryableError)


@pytest.mark.parametrize("name", ANSWERS)
def test_only_answers_with_trades_give_trades(name: str) -> None:
    captures, error = poll(alpaca_over, Answer((DATA / "alpaca" / f"{name}.json").read_bytes()))
    trades = [trade for capture in captures for trade in capture.trades]
    if name in TRADE_ANSWERS:
        assert error is None or captures
        assert trades
    else:
        assert trades == []
