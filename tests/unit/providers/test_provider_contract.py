"""What every provider keeps. A new one is a case in `PROVIDERS`.

No trade is invented, no failure passes for success, every error is one of the providers' own, and what is read twice is
the same trade.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from examples.new_provider import TicksProvider, ticks_client
from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.trade import check_trade
from stock_pipeline.providers.client.http import (
    CredentialsRefusedError,
    HttpClient,
    ProviderPermanentError,
    ProviderRetryableError,
    ReusedConnection,
)
from stock_pipeline.providers.finnhub import FinnhubProvider, finnhub_client
from tests.support.clock import Clock
from tests.support.provider_fakes import (
    DATA,
    Answer,
    alpaca_over,
    client_over,
    deadline,
    scripted_server,
    unhurried,
)

ERRORS = sorted(path.stem for path in (DATA / "errors").glob("*.json"))
ANSWERS = sorted(path.stem for path in (DATA / "alpaca").glob("*.json"))
TRADE_ANSWERS = {"TestGetMultiTrades.1", "TestGetTrades.1", "TestGetTrades_Update.1"}


def finnhub_over(http: HttpClient, clock: Clock) -> FinnhubProvider:
    client = client_over(finnhub_client, http, clock, bucket=unhurried(clock))
    return FinnhubProvider(client, ["AAPL"], clock.now_ns)


def ticks_over(http: HttpClient, clock: Clock) -> TicksProvider:
    return TicksProvider(client_over(ticks_client, http, clock), ["AAPL"], clock.now_ns)


@dataclass(frozen=True)
class Case:
    """A provider, what its API answers, the same with one trade that can't be read, and what it answers at the end."""

    name: str
    make: Callable[[HttpClient, Clock], Any]
    answer: bytes
    spoiled: bytes
    end: bytes


TICK = {"n": 18, "s": "AAPL", "t": "2026-01-01T14:30:00.000000001Z", "p": 1.25, "q": 100}


def ticks(*trades: dict[str, Any], last: int) -> bytes:
    return json.dumps({"trades": trades, "last": last}).encode()


ALPACA = (DATA / "alpaca" / "TestGetMultiTrades.1.json").read_bytes()
QUOTE = (DATA / "finnhub" / "quote.json").read_bytes()
PROVIDERS = [
    Case("alpaca", alpaca_over, ALPACA, ALPACA.replace(b"11.71,", b"-11.71,"), b'{"trades":{},"next_page_token":null}'),
    Case("finnhub", finnhub_over, QUOTE, QUOTE.replace(b"261.74", b"-261.74"), QUOTE),
    Case("ticks", ticks_over, ticks(TICK, last=18), ticks(TICK, {**TICK, "p": -1}, last=18), ticks(last=18)),
]
every_provider = pytest.mark.parametrize("case", PROVIDERS, ids=lambda case: case.name)


def poll(
    make: Callable[[HttpClient, Clock], Any], *answers: Answer, checkpoint: str | None = None
) -> tuple[list[Capture], Exception | None]:
    """The captures of one poll against a server that gives the last answer for ever, and how it ended."""
    clock = Clock()
    with scripted_server() as server:
        server.play(*answers, *[answers[-1]] * 50)
        http = ReusedConnection(server.url, clock.now_ns)
        captures = []
        try:
            captures.extend(make(http, clock).poll(checkpoint, deadline(clock)))
        except (ProviderPermanentError, ProviderRetryableError) as error:
            return captures, error
        finally:
            http.close()
    return captures, None


def ids(captures: list[Capture]) -> list[str]:
    return [trade.event_id for capture in captures for trade in capture.trades]


@every_provider
def test_trades_keep_their_limits_and_a_checkpoint_follows(case: Case) -> None:
    captures, error = poll(case.make, Answer(case.answer), Answer(case.end))
    assert error is None
    trades = [trade for capture in captures for trade in capture.trades]
    assert trades
    for trade in trades:
        check_trade(trade)
    assert captures[-1].checkpoint is not None


@every_provider
def test_what_is_read_twice_is_the_same_trade(case: Case) -> None:
    first, second = (ids(poll(case.make, Answer(case.answer), Answer(case.end))[0]) for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)


@every_provider
def test_nothing_new_after_the_checkpoint_is_no_trade_and_no_error(case: Case) -> None:
    captures, _ = poll(case.make, Answer(case.answer), Answer(case.end))
    again, error = poll(case.make, Answer(case.end), checkpoint=captures[-1].checkpoint)
    assert (ids(again), error) == ([], None)


@every_provider
def test_a_trade_that_cannot_be_read_is_handed_over_and_the_others_count(case: Case) -> None:
    good, _ = poll(case.make, Answer(case.answer), Answer(case.end))
    captures, error = poll(case.make, Answer(case.spoiled), Answer(case.end))
    bad = [each for capture in captures for each in capture.unreadable]
    assert error is None
    assert len(bad) == 1
    assert bad[0].payload in case.spoiled
    assert set(ids(captures)) <= set(ids(good))
    assert captures[-1].checkpoint is not None


@every_provider
@pytest.mark.parametrize("status", [200, 400, 401, 403, 429, 500, 503])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_body_is_an_error_under_every_status(case: Case, name: str, status: int) -> None:
    captures, error = poll(case.make, Answer((DATA / "errors" / f"{name}.json").read_bytes(), status))
    assert error is not None
    assert ids(captures) == []
    if status in (401, 403):
        assert isinstance(error, CredentialsRefusedError)
    if status in (429, 500, 503):
        assert isinstance(error, ProviderRetryableError)


@pytest.mark.parametrize("name", ANSWERS)
def test_only_answers_with_trades_give_trades(name: str) -> None:
    captures, error = poll(alpaca_over, Answer((DATA / "alpaca" / f"{name}.json").read_bytes()))
    assert bool(ids(captures)) == (name in TRADE_ANSWERS)
    if name in TRADE_ANSWERS:
        assert error is None or captures
