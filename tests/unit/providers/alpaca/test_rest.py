"""Capture from Alpaca: recorded answers and errors, over loopback."""

import json
import logging
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.providers.alpaca.pages import quote_bare_words, read_page
from stock_pipeline.providers.alpaca.rest import AlpacaProvider
from stock_pipeline.providers.client.http import (
    CredentialsRefusedError,
    RequestRefusedError,
    ReusedConnection,
    UnexpectedAnswerError,
)
from stock_pipeline.providers.timestamps import format_rfc3339_ns, parse_rfc3339_ns
from tests.support.clock import SECOND, START_NS, Clock
from tests.support.provider_fakes import (
    KEY,
    SECRET,
    Answer,
    ScriptedServer,
    alpaca_over,
    deadline,
    query_of,
    recorded,
    scripted_server,
)

HOUR = 3600 * SECOND


@contextmanager
def over_loopback(
    *answers: Answer, symbols: tuple[str, ...] = ("AAPL",), **options: Any
) -> Iterator[tuple[AlpacaProvider, ScriptedServer, Clock]]:
    clock = Clock()
    offset = time.time_ns() - START_NS
    with scripted_server() as server:
        server.play(*answers)
        http = ReusedConnection(server.url, lambda: time.time_ns() - offset)
        yield alpaca_over(http, clock, symbols, **options), server, clock
        http.close()


def test_recorded_trades_of_two_symbols_come_with_one_request() -> None:
    answer = Answer(recorded("alpaca/TestGetMultiTrades.1"))
    with over_loopback(answer, symbols=("GE", "F", "GE")) as (provider, server, clock):
        _, capture = provider.poll(None, deadline(clock))
    assert [(t.symbol, t.price, t.volume, t.conditions, t.sequence) for t in capture.trades] == [
        ("F", Decimal("11.715"), 5, "I", 442254),
        ("F", Decimal("11.71"), 200, "", 442258),
        ("GE", Decimal("13.74"), 100, "", 933063),
        ("GE", Decimal("13.7317"), 100, "4B", 933066),
    ]
    assert capture.trades[0].event_time_ns == 1_528_139_897_439_200_000
    assert capture.unreadable == ()
    assert urlsplit(server.seen[0].path).path == "/v2/stocks/trades"
    assert query_of(server.seen[0].path) == {
        "symbols": "F,GE",
        "feed": "iex",
        "limit": "10000",
        "sort": "asc",
        "start": format_rfc3339_ns(START_NS - 300 * SECOND),
        "end": format_rfc3339_ns(START_NS),
    }


def test_pages_are_followed_by_their_token() -> None:
    pages = [
        Answer(recorded("alpaca/TestGetTrades.1")),
        Answer(recorded("alpaca/test_get_trades_multi_empty_response.1")),
    ]
    with over_loopback(*pages) as (provider, server, clock):
        _, *captures = provider.poll(None, deadline(clock))
    assert [len(capture.trades) for capture in captures] == [1, 0]
    token = json.loads(recorded("alpaca/TestGetTrades.1"))["next_page_token"]
    assert [query_of(seen.path).get("page_token") for seen in server.seen] == [None, token]


def test_recorded_cancellations_are_rows_of_their_trades() -> None:
    with over_loopback(Answer(recorded("alpaca/TestGetTrades_Update.1")), symbols=("A",)) as (provider, _, clock):
        _, capture = provider.poll(None, deadline(clock))
    assert [(t.status, t.event_id) for t in capture.trades] == [
        ("cancelled", "iex:A:20221021:D:71697353758036"),
        ("cancelled", "iex:A:20221021:D:71697353758036:129.88x5:IT"),
        ("cancelled", "iex:A:20221021:D:71697353815352"),
        ("cancelled", "iex:A:20221021:D:71697353815352:129.88x2:IT"),
    ]


@pytest.mark.parametrize("body", [b'{"trades": null}', b'{"trades": {"AAPL": null}, "next_page_token": ""}'])
def test_nothing_new_still_moves_the_checkpoint(body: bytes) -> None:
    with over_loopback(Answer(body), Answer(body)) as (provider, server, clock):
        _, first = provider.poll(None, deadline(clock))
        clock.ns += HOUR
        (second,) = provider.poll(first.checkpoint, deadline(clock))
    assert first.trades == second.trades == ()
    assert first.unreadable == second.unreadable == ()
    assert query_of(server.seen[1].path)["start"] == format_rfc3339_ns(START_NS - 300 * SECOND)


def test_a_bad_trade_is_unreadable_and_the_others_go_on() -> None:
    good = b'{"t":"2026-01-01T14:59:00Z","x":"V","p":1.5,"s":1,"c":[],"i":%d,"z":"C"}'
    pieces = [good % 1, b'{"t":"2026-01-01T14:59:00Z","x":"V","p":NaN,"s":1,"i":2}', b'{"p": null}', b"null", good % 3]
    body = b'{"trades": {"AAPL": [' + b",".join(pieces) + b'], "MSFT": {"p": 1}}, "next_page_token": null}'
    with over_loopback(Answer(body)) as (provider, _, clock):
        _, capture = provider.poll(None, deadline(clock))
    assert [trade.sequence for trade in capture.trades] == [1, 3]
    assert [(bad.reason, bad.payload) for bad in capture.unreadable] == [
        (Reason.VALUE, b'{"t":"2026-01-01T14:59:00Z","x":"V","p":"NaN","s":1,"i":2}'),
        (Reason.SCHEMA, b'{"p": null}'),
        (Reason.SCHEMA, b"null"),
        (Reason.SCHEMA, b'{"p": 1}'),
    ]
    assert "price NaN is not a number" in capture.unreadable[0].detail


def test_bare_words_are_quoted_outside_strings_only() -> None:
    assert (
        quote_bare_words(rb'[NaN, "NaN \" NaN", -Infinity, "a\\", NaN]')
        == rb'["NaN", "NaN \" NaN", "-Infinity", "a\\", "NaN"]'
    )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"message": "x"}', b'{"trades": 5}', b'{"trades": {"A": [{]}}']
)
def test_what_is_no_page_is_no_answer(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        read_page(body)


def test_a_refused_key_ends_the_poll_with_one_request() -> None:
    with over_loopback(Answer(b'{"message": "forbidden."}', 403)) as (provider, server, clock):
        with pytest.raises(CredentialsRefusedError, match=r"secret stock-pipeline/dev/alpaca"):
            list(provider.poll(None, deadline(clock)))
        assert len(server.seen) == 1


def test_a_key_in_an_answer_reaches_no_payload_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bad = json.dumps({"trades": {"AAPL": [{"t": KEY, "p": 1, "s": 1, "i": SECRET}, {"x": SECRET, "y": KEY}]}}).encode()
    with over_loopback(Answer(bad)) as (provider, _, clock):
        _, capture = provider.poll(None, deadline(clock))
    assert len(capture.unreadable) == 2
    for shown in (repr(capture), caplog.text):
        assert KEY not in shown
        assert SECRET not in shown


def test_the_delay_of_a_plan_keeps_the_window_behind_the_clock() -> None:
    answer = Answer(recorded("alpaca/test_get_trades_multi_empty_response.1"))
    with over_loopback(answer, feed="sip", delay_seconds=960) as (provider, server, clock):
        list(provider.poll(None, deadline(clock)))
    asked = query_of(server.seen[0].path)
    assert asked["feed"] == "sip"
    assert asked["end"] == format_rfc3339_ns(START_NS - 960 * SECOND)


def test_a_token_that_is_not_taken_any_more_restarts_its_window() -> None:
    pages = [Answer(recorded("alpaca/TestGetTrades.1")), Answer(b"", 503), *[Answer(b"", 503)] * 5]
    with over_loopback(*pages) as (provider, server, clock):
        captures = provider.poll(None, clock.ns + HOUR)
        _, first = next(captures), next(captures)
        with pytest.raises(Exception, match="503"):
            next(captures)
        server.play(Answer(b'{"message": "invalid page_token"}', 422), Answer(recorded("alpaca/TestGetTrades.1")))
        again = next(provider.poll(first.checkpoint, clock.ns + HOUR))
    assert [query_of(seen.path).get("page_token") for seen in server.seen][-2:] == [
        query_of(server.seen[1].path)["page_token"],
        None,
    ]
    assert again.checkpoint == first.checkpoint


def test_a_page_that_names_itself_as_the_next_ends_in_an_error() -> None:
    page = Answer(recorded("alpaca/TestGetTrades.1"))
    with over_loopback(page, page) as (provider, _, clock), pytest.raises(UnexpectedAnswerError, match="never end"):
        list(provider.poll(None, deadline(clock)))


def test_snapshots_give_first_prices_and_name_unknown_symbols() -> None:
    with over_loopback(Answer(recorded("alpaca/TestSnapshots.1")), symbols=("AAPL", "MSFT", "INVALID")) as (
        provider,
        server,
        clock,
    ):
        capture = provider.first_prices(deadline(clock))
    assert [(t.symbol, t.price, t.event_id) for t in capture.trades] == [
        ("AAPL", Decimal("133.4201"), "iex:AAPL:20210503:D:62700"),
        ("MSFT", Decimal("253.8738"), "iex:MSFT:20210503:D:22973"),
    ]
    assert [(bad.detail, bad.payload) for bad in capture.unreadable] == [("alpaca knows no symbol 'INVALID'", b"null")]
    assert capture.checkpoint is None
    assert server.seen[0].path == "/v2/stocks/snapshots?symbols=AAPL%2CINVALID%2CMSFT&feed=iex"


@pytest.mark.parametrize("body", [b"{}", b'{"AAPL": {"latestTrade": null}}', b'{"AAPL": {}}'])
def test_no_first_price_is_no_error(body: bytes) -> None:
    with over_loopback(Answer(body)) as (provider, _, clock):
        assert provider.first_prices(deadline(clock)) == Capture((), ())


def test_a_snapshot_that_is_none_is_unreadable() -> None:
    with over_loopback(Answer(b'{"AAPL": {"latestTrade": 5}, "B": {"latestTrade": {"p": 1}}}')) as (provider, _, clock):
        assert len(provider.first_prices(deadline(clock)).unreadable) == 2
    error = Answer(b'{"code": 40010001, "message": "no"}')
    with over_loopback(error) as (provider, _, clock), pytest.raises(RequestRefusedError):
        provider.first_prices(deadline(clock))


def test_a_trade_that_changed_is_handed_over_again() -> None:
    cancelled = recorded("alpaca/TestGetTrades_Update.1")
    good = cancelled.replace(b'"u": "canceled"', b'"u": null')
    with over_loopback(Answer(good), Answer(cancelled), Answer(cancelled), symbols=("A",)) as (provider, _, clock):
        clock.ns = parse_rfc3339_ns("2022-10-21T20:20:00Z")
        captures = []
        checkpoint = None
        for _ in range(3):
            *_, capture = provider.poll(checkpoint, clock.ns + 50 * SECOND * 10**9)
            captures.append([trade.status for trade in capture.trades])
            checkpoint = capture.checkpoint
    assert captures == [["good", "good"], ["cancelled"] * 4, []]


def test_page_tokens_are_opaque() -> None:
    token = b64encode(b"AAPL|2021|\x00&=+/").decode()
    first = json.dumps({"trades": {}, "next_page_token": token}).encode()
    with over_loopback(Answer(first), Answer(b'{"trades": {}}')) as (provider, server, clock):
        list(provider.poll(None, deadline(clock)))
    assert query_of(server.seen[1].path)["page_token"] == token
