"""Finnhub's quotes and messages: recorded answers over loopback, and rotation against a model of the API."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    CredentialsRefusedError,
    HttpAnswer,
    HttpClient,
    RateLimitedError,
    RequestRefusedError,
    ReusedConnection,
    UnexpectedAnswerError,
)
from stock_pipeline.providers.finnhub import FinnhubProvider, finnhub_client, parse_stream_message
from tests.support.clock import SECOND, START_NS, Clock
from tests.support.provider_fakes import KEY, Answer, RecordingObserver, ScriptedServer, recorded, scripted_server

MINUTE = 60 * SECOND
QUOTE = Answer(recorded("finnhub/quote"))
UNKNOWN = Answer(recorded("finnhub/quote_unknown_symbol"))


def finnhub_key() -> Credentials:
    return Credentials("secret stock-pipeline/dev/finnhub", KEY)


def provider_of(http: HttpClient, clock: Clock, *symbols: str) -> FinnhubProvider:
    client = finnhub_client(
        finnhub_key(),
        now_ns=clock.now_ns,
        wait=clock.wait,
        jitter=random.Random(1),
        observer=RecordingObserver(),
        http=http,
    )
    return FinnhubProvider(client, symbols, clock.now_ns)


@contextmanager
def over_loopback(
    *answers: Answer, symbols: tuple[str, ...] = ("AAPL",)
) -> Iterator[tuple[FinnhubProvider, ScriptedServer, Clock]]:
    clock = Clock()
    offset = time.time_ns() - START_NS
    with scripted_server() as server:
        server.play(*answers)
        http = ReusedConnection(server.url, lambda: time.time_ns() - offset)
        yield provider_of(http, clock, *symbols), server, clock
        http.close()


def test_a_recorded_quote_is_a_price_without_volume() -> None:
    with over_loopback(QUOTE) as (provider, server, clock):
        (capture,) = provider.poll(None, clock.ns + MINUTE)
    assert capture.trades == (
        Trade(
            event_id="finnhub:AAPL:1582641000000000000:261.74::0",
            feed="finnhub",
            capture_mode="quote",
            symbol="AAPL",
            event_time_ns=1_582_641_000 * SECOND,
            sequence=0,
            price=Decimal("261.74"),
            volume=None,
            exchange="",
            conditions="",
            tape="",
            status="good",
            version=0,
            ingest_time_ns=clock.ns,
        ),
    )
    assert server.seen[0].path == "/api/v1/quote?symbol=AAPL"
    assert server.seen[0].headers["x-finnhub-token"] == KEY


def test_an_unchanged_quote_is_no_new_trade_even_after_a_restart() -> None:
    with over_loopback(QUOTE, QUOTE, Answer(b'{"c": 261.75, "t": 1582641000}')) as (provider, _, clock):
        (first,) = provider.poll(None, clock.ns + MINUTE)
        (second,) = provider.poll(first.checkpoint, clock.ns + MINUTE)
        (third,) = provider.poll(second.checkpoint, clock.ns + MINUTE)
    assert [len(capture.trades) for capture in (first, second, third)] == [1, 0, 1]


def test_an_unknown_symbol_is_reported_once_and_never_published() -> None:
    answers = [UNKNOWN, QUOTE, UNKNOWN, QUOTE, QUOTE, QUOTE, UNKNOWN]
    with over_loopback(*answers, symbols=("NOPE", "AAPL")) as (provider, _, clock):
        captures: list[Capture] = []
        checkpoint = None
        for _ in range(3):
            captures += provider.poll(checkpoint, clock.ns + MINUTE)
            checkpoint = captures[-1].checkpoint
    assert [len(capture.unreadable) for capture in captures] == [1, 0, 0]
    assert captures[0].unreadable[0].detail == "finnhub knows no price of NOPE"
    assert captures[0].unreadable[0].payload == UNKNOWN.body
    assert [trade.symbol for trade in captures[2].trades] == ["NOPE"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"c": null, "t": 1582641000}',
        b'{"c": 1.5, "t": 1582641000.5}',
        b'{"c": -1, "t": 1582641000}',
        b'{"c": "NaN", "t": 1582641000}',
        b'{"c": 1e999, "t": 1582641000}',
        b'{"c": 1.0000001, "t": 1582641000}',
        b'{"c": 1.5, "t": 1582641000000}',
        b'{"c": 1.5, "t": "now"}',
    ],
)
def test_a_bad_quote_is_unreadable_and_the_next_symbol_is_asked(body: bytes) -> None:
    with over_loopback(Answer(body), QUOTE, symbols=("BAD", "AAPL")) as (provider, _, clock):
        (capture,) = provider.poll(None, clock.ns + MINUTE)
    assert [bad.payload for bad in capture.unreadable] == [body]
    assert [trade.symbol for trade in capture.trades] == ["AAPL"]


def test_a_refused_symbol_does_not_keep_the_others_waiting() -> None:
    refusal = Answer(recorded("errors/finnhub_403"), 403)
    with over_loopback(QUOTE, refusal, QUOTE, symbols=("A", "B", "C")) as (provider, server, clock):
        captures = provider.poll(None, clock.ns + MINUTE)
        first = next(captures)
        with pytest.raises(CredentialsRefusedError, match="You don't have access to this resource"):
            next(captures)
        assert [trade.symbol for trade in first.trades] == ["A"]
        clock.ns += MINUTE
        server.play(QUOTE, QUOTE)
        (second,) = provider.poll(first.checkpoint, clock.ns + MINUTE)
    assert [trade.symbol for trade in second.trades] == ["C", "B"]
    assert [_symbol(seen.path) for seen in server.seen] == ["A", "B", "C", "A", "B"]


def _symbol(target: str) -> str:
    return parse_qs(urlsplit(target).query)["symbol"][0]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, recorded("errors/finnhub_401"), CredentialsRefusedError),
        (200, recorded("errors/finnhub_401"), CredentialsRefusedError),
        (200, recorded("errors/finnhub_429"), RateLimitedError),
        (429, recorded("errors/finnhub_429"), RateLimitedError),
        (200, b"<html>", UnexpectedAnswerError),
        (200, b"{}", UnexpectedAnswerError),
        (302, b"", RequestRefusedError),
    ],
)
def test_errors_are_errors_whatever_their_status(status: int, body: bytes, error: type[Exception]) -> None:
    answer = Answer(body, status, {"Location": "https://finnhub.example/maintenance"} if status == 302 else {})
    with over_loopback(*[answer] * 6) as (provider, _, clock):
        with pytest.raises(error) as raised:
            list(provider.poll(None, clock.ns + MINUTE))
        assert KEY not in str(raised.value)


class FinnhubModel:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[tuple[int, str]] = []

    def get(self, target: str, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        self.asked.append((self.clock.ns, _symbol(target)))
        price = len(self.asked) / 100 + 1
        return HttpAnswer(200, {}, json.dumps({"c": price, "t": self.clock.ns // SECOND}).encode())


@given(count=st.integers(1, 150), polls=st.integers(1, 6), restart=st.booleans())
def test_every_symbol_gets_its_turn_within_the_keys_budget(count: int, polls: int, restart: bool) -> None:
    clock = Clock()
    model = FinnhubModel(clock)
    symbols = [f"S{n}" for n in range(count)]
    provider, checkpoint = provider_of(model, clock, *symbols), None
    for _ in range(polls):
        for capture in provider.poll(checkpoint, clock.ns + 50 * SECOND):
            checkpoint = capture.checkpoint
        clock.ns = max(clock.ns, START_NS) + 10 * SECOND
    asked = Counter(symbol for _, symbol in model.asked)
    counts = [asked[symbol] for symbol in symbols]
    assert max(counts) - min(counts) <= 1
    times = [at for at, _ in model.asked]
    assert max(sum(start <= at < start + MINUTE for at in times) for start in times) <= 60
    assert max(sum(start <= at < start + SECOND for at in times) for start in times) <= 30


def test_symbols_that_left_are_forgotten_and_new_ones_are_asked(clock: Clock) -> None:
    model = FinnhubModel(clock)
    (first,) = provider_of(model, clock, "A", "B", "C").poll(None, clock.ns + MINUTE)
    (second,) = provider_of(model, clock, "D", "C").poll(first.checkpoint, clock.ns + MINUTE)
    assert json.loads(str(second.checkpoint))["quotes"].keys() == {"C", "D"}
    assert [trade.symbol for trade in second.trades] == ["D", "C"]


@pytest.mark.parametrize("checkpoint", ["", "{}", "null", '{"turn": 1}', '{"start_ns": 1}'])
def test_a_checkpoint_of_somebody_else_only_begins_anew(clock: Clock, checkpoint: str) -> None:
    (capture,) = provider_of(FinnhubModel(clock), clock, "A").poll(checkpoint, clock.ns + MINUTE)
    assert len(capture.trades) == 1


def test_a_deadline_in_the_past_asks_nothing(clock: Clock) -> None:
    model = FinnhubModel(clock)
    assert list(provider_of(model, clock, "A").poll(None, clock.ns)) == []
    assert model.asked == []


@pytest.mark.parametrize("symbols", [(), ("A B",), ("",)])
def test_symbols_that_are_none_are_refused(symbols: tuple[str, ...]) -> None:
    with pytest.raises(RequestRefusedError):
        provider_of(FinnhubModel(Clock()), Clock(), *symbols)


def parse(message: bytes | dict[str, Any]) -> Capture:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return parse_stream_message(body, START_NS, finnhub_key())


def test_a_recorded_trade_message_has_times_in_milliseconds() -> None:
    capture = parse(recorded("finnhub/ws_trade_msft_example"))
    assert [(t.event_id, t.capture_mode, t.volume, t.price) for t in capture.trades] == [
        ("finnhub:MSFT:1575526691134000000:220.89:100:0", "trade", 100, Decimal("220.89")),
        ("finnhub:MSFT:1575526691167000000:220.82:15:0", "trade", 15, Decimal("220.82")),
    ]


def test_equal_trades_of_one_millisecond_are_three_trades() -> None:
    message = json.loads(recorded("finnhub/ws_trade_btcusdt_capture_2024-07-02"))
    for row in message["data"]:
        row["v"] = round(row["v"] * 100_000)
    capture = parse(message)
    equal = [trade for trade in capture.trades if trade.volume == 10]
    assert [trade.sequence for trade in equal] == [0, 1, 2]
    assert len({trade.event_id for trade in capture.trades}) == 6
    assert parse(message) == capture


def test_a_fractional_volume_is_exact() -> None:
    capture = parse(recorded("finnhub/ws_trade_btcusdt_capture_2024-07-02"))
    assert capture.trades[0].volume == Decimal("0.00139")
    assert capture.trades[0].event_id == "finnhub:BINANCE:BTCUSDT:1719893836373000000:63229.69:0.00139:0"
    assert capture.unreadable == ()


def test_a_volume_of_seven_places_is_unreadable() -> None:
    message = recorded("finnhub/ws_trade_btcusdt_capture_2024-07-02")
    message = json.loads(message)
    message["data"][0]["v"] = 0.0000001
    capture = parse(message)
    assert len(capture.trades) == 5
    assert [bad.reason for bad in capture.unreadable] == [Reason.VALUE]


@pytest.mark.parametrize("volume", ["100", "100.0", "1e2"])
def test_a_whole_volume_may_be_written_as_a_float(volume: str) -> None:
    (trade,) = parse(
        b'{"type":"trade","data":[{"s":"A","p":1.5,"t":1575526691134,"v":' + volume.encode() + b"}]}"
    ).trades
    assert trade.volume == 100


@pytest.mark.parametrize("piece", ["null", "{}", '{"s":"A","p":1,"t":1,"v":1e999}', '{"s":"A B","p":1,"t":1,"v":1}'])
def test_a_bad_trade_in_a_message_is_unreadable(piece: str) -> None:
    good = '{"s":"A","p":1.5,"t":1575526691134,"v":1}'
    capture = parse(f'{{"type":"trade","data":[{piece},{good}]}}'.encode())
    assert (len(capture.unreadable), len(capture.trades)) == (1, 1)


def test_a_ping_and_what_else_may_come_have_no_trades() -> None:
    assert parse(recorded("finnhub/ws_ping")) == Capture(())
    assert parse({"type": "news", "data": [1]}) == Capture(())


def test_an_error_message_is_an_error_without_the_key() -> None:
    with pytest.raises(RequestRefusedError, match="Subscribing to too many symbols"):
        parse(recorded("finnhub/ws_error_too_many_symbols"))
    with pytest.raises(RequestRefusedError) as error:
        parse({"type": "error", "msg": "x" * 190 + KEY})
    assert KEY[:6] not in str(error.value)


@pytest.mark.parametrize(
    "message", [b"", b"[]", b"null", b"{}", b'{"type": 5}', b"\xff", b'{"type":"trade","data":{}}']
)
def test_what_is_no_message_is_no_answer(message: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        parse(message)
