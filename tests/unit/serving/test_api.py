"""The read API over a lake in memory: figures, errors, entity tags, and the stream of changes."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from starlette.testclient import TestClient

from stock_pipeline.domain.price_alert import UNIT, Level, Rule
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.serving.app import CHART, STATIC, application
from stock_pipeline.serving.bodies import takes_gzip
from stock_pipeline.serving.events import KEPT_FRAMES, Events, Frame
from stock_pipeline.serving.facts import Facts, Kept
from stock_pipeline.serving.shapes import Action
from tests.support.market import Market, shown_state
from tests.support.trades import NOON, SESSION, trade

KEY = SymbolKey("ABC", "sim")


@pytest.fixture
def client(market: Market) -> Iterator[TestClient]:
    with TestClient(application(market.service, Events(), follows=False), raise_server_exceptions=False) as client:
        yield client


def get(client: TestClient, path: str) -> Any:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_latest_has_the_state_and_the_day(market: Market, client: TestClient) -> None:
    market.past = {"SELECT symbol, feed, close": [("ABC", "sim", Decimal("10.00"))]}
    market.states = {KEY: shown_state("ABC", "12.50", NOON + 2 * 10**9, SESSION)}
    market.lake.add([trade(0), trade(1), trade(2)], 0)
    market.step()
    (quote,) = get(client, "/latest/ABC")["quotes"]
    assert quote["eventTime"] == "2018-01-02T17:00:02.000000000Z"
    assert {name: Decimal(quote[name]) for name in ("price", "open", "high", "low", "volume", "vwap")} == {
        "price": Decimal("12.5"),
        "open": Decimal("10.5"),
        "high": Decimal("12.5"),
        "low": Decimal("10.5"),
        "volume": Decimal(300),
        "vwap": Decimal("11.5"),
    }
    assert (Decimal(quote["previousClose"]), Decimal(quote["changePercent"])) == (Decimal(10), Decimal(25))
    assert quote["averages"] == {"5": "12.50"}
    assert get(client, "/latest")["quotes"] == [quote]
    assert get(client, "/latest?symbols=ABC,ZZZ")["quotes"] == [quote]


def test_a_body_has_a_tag_until_it_changes(market: Market, client: TestClient) -> None:
    market.lake.add([trade(0)], 0)
    market.step()
    tag = client.get("/api/v1/latest").headers["ETag"]
    assert client.get("/api/v1/latest", headers={"If-None-Match": tag}).status_code == 304
    market.lake.add([trade(1)], 1)
    market.step()
    assert client.get("/api/v1/latest", headers={"If-None-Match": tag}).status_code == 200


def test_bars_that_did_not_change_are_made_once(market: Market, client: TestClient) -> None:
    market.lake.add([trade(0)], 0)
    market.step()
    assert get(client, "/bars/ABC")["bars"][0]["tradeCount"] == 1
    (body,) = market.service.live_bodies.values()
    assert get(client, "/bars/ABC")["bars"][0]["tradeCount"] == 1
    assert list(market.service.live_bodies.values()) == [body]
    get(client, "/bars/ABC?size=1d")
    assert len(market.service.live_bodies) == 1, "earlier days come from the models, which dbt changes"
    market.lake.add([trade(1)], 1)
    market.step()
    assert get(client, "/bars/ABC")["bars"][0]["tradeCount"] == 2


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("br, gzip;q=0.1", True),
        ("GZIP", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0, br", False),
        ("gzip; q=0.000", False),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
    ],
)
def test_who_refuses_gzip_gets_none(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


def test_whatever_it_is_it_has_not_changed(market: Market, client: TestClient) -> None:
    market.step()
    assert client.get("/api/v1/latest", headers={"If-None-Match": "*"}).status_code == 304


def test_a_large_body_is_gzipped_once(market: Market, client: TestClient) -> None:
    market.lake.add([trade(number, symbol=f"S{number}") for number in range(30)], 0)
    market.step()
    with client.stream("GET", "/api/v1/latest", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        raw = b"".join(answer.iter_raw())
    assert len(json.loads(gzip.decompress(raw))["quotes"]) == 30
    assert market.service.board.body().gzipped is market.service.board.body().gzipped


def test_bars_of_today_are_live_and_of_before_the_models(market: Market, client: TestClient) -> None:
    figures = (Decimal("9"), Decimal("9.5"), Decimal("8.5"), Decimal("9.25"), Decimal("100.500000"), Decimal("9.1"), 3)
    market.past = {"SELECT session_date, open": [("2017-12-29", *figures)]}
    market.lake.add([trade(0), trade(60), trade(61)], 0)
    market.step()
    days = get(client, "/bars/ABC?size=1d")["bars"]
    assert [bar["time"] for bar in days] == ["2017-12-29", "2018-01-02"]
    assert days[0]["volume"] == "100.5"
    minutes = get(client, "/bars/ABC")["bars"]
    assert [(bar["time"], bar["tradeCount"], bar["sessionPart"]) for bar in minutes] == [
        ("2018-01-02T17:00:00Z", 1, "regular"),
        ("2018-01-02T17:01:00Z", 2, "regular"),
    ]
    page = get(client, "/bars/ABC?limit=1")
    assert (len(page["bars"]), page["next"]) == (1, "2018-01-02T17:01:00Z")


def test_a_late_trade_and_a_correction_change_their_bar(market: Market, client: TestClient) -> None:
    market.lake.add([trade(0), trade(70)], 0)
    market.step()
    market.lake.add([replace(trade(1), price=Decimal("99")), replace(trade(0), version=1, status="cancelled")], 1)
    market.step()
    first = get(client, "/bars/ABC")["bars"][0]
    assert (first["open"], first["high"], first["tradeCount"]) == ("99.000000", "99.000000", 1)


def test_pages_of_minutes_follow_each_other_without_gap_or_repeat(market: Market, client: TestClient) -> None:
    # at four o'clock the closing print is of regular hours, and what trades beside it comes after them
    four = NOON + 4 * 3600 * 10**9
    late = [trade(900 + n, event_time_ns=four + n, conditions=codes) for n, codes in enumerate(("6", "T"))]
    market.lake.add([*(trade(60 * n, event_time_ns=NOON + 60 * n * 10**9) for n in range(3)), *late], 0)
    market.step()
    whole = get(client, "/bars/ABC")["bars"]
    paged, start = [], ""
    while True:
        page = get(client, f"/bars/ABC?limit=1{start}")
        paged += page["bars"]
        if page["next"] is None:
            break
        start = f"&start={page['next']}"
    assert paged == whole
    assert [bar["sessionPart"] for bar in whole] == ["regular"] * 4 + ["post"]


def test_actions_are_those_of_the_symbol(market: Market, client: TestClient) -> None:
    market.actions = {"ABC": [Action("split", SESSION, Decimal(1), Decimal(4))]}
    (action,) = get(client, "/actions/ABC")["actions"]
    assert (action["kind"], action["exDate"], action["sharesAfter"]) == ("split", "2018-01-02", "4")
    assert get(client, "/actions/XYZ")["actions"] == []


def rule(symbol: str, **bounds: date) -> Rule:
    return Rule(f"high-{symbol.lower()}", (symbol,), Level(12 * UNIT, 11 * UNIT, above=True), **bounds)  # type: ignore[arg-type]


def test_alerts_say_what_was_told_and_what_each_rule_does(market: Market, client: TestClient) -> None:
    later = rule("ABC", first=SESSION + timedelta(days=1))
    over = rule("ABC", last=SESSION - timedelta(days=1))
    rules = (rule("ABC"), rule("TYPO"), replace(later, name="later"), replace(over, name="over"))
    market.service.alerts = market.alerts(*rules)
    assert {each["state"] for each in get(client, "/alerts")["rules"]} == {"waiting"}
    market.lake.add([trade(0, price=Decimal(12)), trade(600, price=Decimal(10))], 0)
    market.step()
    tag = client.get("/api/v1/alerts").headers["ETag"]
    assert client.get("/api/v1/alerts", headers={"If-None-Match": tag}).status_code == 304
    answer = get(client, "/alerts")
    assert answer["sessionDate"] == "2018-01-02"
    assert [(each["name"], each["state"], each["why"]) for each in answer["rules"]] == [
        ("high-abc", "watching", ""),
        ("high-typo", "waiting", "nothing is known of TYPO: is it spelt so, and is it followed?"),
        ("later", "waiting", "begins on 2018-01-03"),
        ("over", "over", "ended on 2018-01-01"),
    ]
    (alert,) = answer["alerts"]
    assert alert.pop("foundAt")
    assert alert == {
        "rule": "high-abc",
        "says": "above 12.00, again after 11.00",
        "symbol": "ABC",
        "feed": "sim",
        "eventTime": "2018-01-02T17:00:00.000000000Z",
        "what": "12.00, at or above 12.00",
        "stands": True,
    }
    market.lake.add([trade(0, version=1, status="cancelled")], 1)
    market.step()
    assert [each["stands"] for each in get(client, "/alerts")["alerts"]] == [False]


def test_a_told_alert_is_an_event_of_its_own(market: Market) -> None:
    frames: list[Frame] = []
    market.service.publish = frames.append
    market.service.alerts = market.alerts(rule("ABC"))
    market.lake.add([trade(0, price=Decimal(12))], 0)
    market.step()
    assert [(frame.number, len(frame.quotes), len(frame.alerts)) for frame in frames] == [(1, 1, 0), (2, 0, 1)]
    assert market.service.board.number == json.loads(market.service.board.body().content)["event"] == 2


async def test_a_stream_of_some_symbols_has_their_alerts_only() -> None:
    events = Events()
    streams = [events.stream(None, frozenset(symbols)) for symbols in (("ABC",), ("XYZ",), ())]
    for stream in streams:
        await anext(stream)
    events.publish(Frame(1, {}, alerts=((KEY, b'{"rule":"a"}'),)))
    events.publish(Frame(2, {SymbolKey("XYZ", "sim"): b"{}"}))
    first, second, third = [await anext(stream) for stream in streams]
    expected = b'id: 2\nevent: alerts\ndata: {"alerts":[{"rule":"a"}]}\n\n'
    assert (first, third.partition(b"\n")[2]) == (expected, b'event: quotes\ndata: {"quotes":[{}]}\n\n')
    assert b"quotes" in second
    assert await anext(streams[2]) == expected
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]


def test_the_pipeline_says_what_waits(client: TestClient) -> None:
    assert get(client, "/pipeline")["deadLetters"] == {"waiting": 0, "hidden": 0, "rejected": {}, "lines": []}


def test_newest_trades_come_with_their_conditions_in_words(market: Market, client: TestClient) -> None:
    market.windows = {KEY: [trade(0, conditions="FI"), trade(1, status="cancelled", version=1, conditions="?")]}
    rows = get(client, "/trades/ABC?feed=sim")["trades"]
    assert [row["status"] for row in rows] == ["cancelled", "good"]
    assert rows[1]["conditionNames"] == ["Intermarket sweep", "Odd lot trade"]
    assert rows[0]["conditionNames"] == ["unknown code ?"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/latest/NOPE", 404, "NOPE has no trades"),
        ("/latest/a'b", 400, "symbol"),
        ("/latest?symbols=", 400, "symbol"),
        ("/latest?symbol=ABC", 400, "no parameter"),
        ("/bars/ABC?size=5m", 400, "1m"),
        ("/bars/ABC?start=2018-02-30", 400, "date"),
        ("/bars/ABC?start=2018-01-03&end=2018-01-02", 400, "after"),
        ("/bars/ABC?feed=sim&start=2017-01-02&end=2018-01-02", 400, "days"),
        ("/bars/ABC?limit=0", 400, "whole number"),
        ("/bars/ABC?size=1m&size=1d", 400, "more than once"),
        ("/nowhere", 404, "Not Found"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_with_its_reason(
    market: Market, client: TestClient, path: str, status: int, said: str
) -> None:
    market.lake.add([trade(0)], 0)
    market.step()
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_a_service_of_aws_that_does_not_answer_is_503(market: Market, client: TestClient) -> None:
    def refuse() -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    market.service.facts = Facts(Kept(refuse, 0, lambda: 0), Kept(refuse, 0, lambda: 0))
    for path in ("/pipeline", "/actions/ABC"):
        answer = client.get(f"/api/v1{path}")
        assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")


def test_models_that_cannot_be_asked_are_503_and_the_board_goes_on(market: Market, client: TestClient) -> None:
    def refuse(_sql: str) -> Any:
        raise StockPipelineError("dbt writes just now")

    market.service.history.ask = refuse
    market.lake.add([trade(0)], 0)
    market.step()
    assert client.get("/api/v1/bars/ABC?size=1d").status_code == 503
    assert get(client, "/latest")["quotes"]


def test_the_whole_page_weighs_less_than_a_picture(client: TestClient) -> None:
    names = [path.name for path in STATIC.iterdir()] + [CHART]
    weight = 0
    for name in names:
        with client.stream("GET", f"/static/{name}", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.status_code == 200
            weight += sum(len(part) for part in answer.iter_raw())
    assert weight < 200_000


def test_a_new_release_of_the_page_is_not_mixed_with_an_old_one(client: TestClient) -> None:
    assert client.get("/static/main.js").headers["Cache-Control"] == "no-cache"


def test_every_answer_forbids_what_a_page_of_others_could_do(client: TestClient) -> None:
    for path in ("/", "/api/v1/latest", "/api/v1/nowhere", "/static/page.css"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
    assert client.post("/api/v1/latest").status_code == 405


def test_health_says_what_it_follows(market: Market, client: TestClient) -> None:
    market.lake.add_bytes(b"no Parquet", 0)
    market.lake.add([trade(0)], 1)
    market.step()
    health = get(client, "/health")
    assert (health["sessionDate"], health["files"], health["symbols"]) == ("2018-01-02", 2, 1)
    assert len(health["unreadable"]) == 1
    assert health["behindP99"] is not None


def test_the_description_names_every_address(client: TestClient) -> None:
    document = get(client, "/openapi.json")
    described = set(document["paths"])
    routed = {route.path for route in client.app.routes if route.path.startswith("/api")}  # type: ignore[attr-defined]
    assert described == routed - {"/api/v1/openapi.json"}


def frames(*numbers: int) -> list[Frame]:
    return [Frame(number, {SymbolKey(f"S{number}", "sim"): b'{"n":%d}' % number}) for number in numbers]


async def test_a_stream_gives_each_change_and_ends_when_told() -> None:
    events = Events()
    stream = events.stream(None, frozenset())
    assert b"retry:" in await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    events.publish(frames(1)[0])
    assert b'id: 1\nevent: quotes\ndata: {"quotes":[{"n":1}]}' in await waiting
    ending = asyncio.ensure_future(anext(stream, b"end"))
    await asyncio.sleep(0)
    events.close()
    assert await ending == b"end"
    assert events.clients == 0


async def test_who_comes_back_gets_what_was_missed_or_starts_anew() -> None:
    events = Events()
    for frame in frames(*range(1, KEPT_FRAMES + 11)):
        events.publish(frame)
    recent = events.stream(KEPT_FRAMES + 8, frozenset())
    await anext(recent)
    assert b'[{"n":129},{"n":130}]' in await anext(recent)
    for after in (2, 10_000):  # too long ago; of a process before
        late = events.stream(after, frozenset())
        await anext(late)
        assert b"event: reset" in await anext(late)
        await late.aclose()  # type: ignore[attr-defined]
    await recent.aclose()  # type: ignore[attr-defined]


def test_times_have_nine_digits(market: Market, client: TestClient) -> None:
    market.lake.add([replace(trade(0), event_time_ns=NOON + 1)], 0)
    market.step()
    text = get(client, "/latest/ABC")["quotes"][0]["eventTime"]
    assert text.endswith(".000000001Z")
    assert datetime.fromisoformat(text[:19]).year == 2018
