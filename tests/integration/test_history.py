"""Past sessions from Alpaca into the lake: the asset on loopback, compaction, and the check of bars."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import dagster as dg
import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.history import bars_agree_with_alpaca, check_result, history
from stock_pipeline.orchestration.lake_assets import trades
from stock_pipeline.orchestration.partitions import session_partitions
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.providers.client.http import ReusedConnection
from tests.support.clock import Clock
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
from tests.support.raw_files import put_raw_file, read_trades

pytestmark = pytest.mark.xdist_group("lake")

SESSION = date(2018, 6, 4)
RECORDED = recorded("alpaca/TestGetMultiTrades.1")
"""Of F and GE, on that day."""

BAR = {"t": "2018-06-04T04:00:00Z", "o": 11.71, "h": 11.71, "l": 11.71, "c": 11.71, "v": 205, "n": 2, "vw": 11.71}


@pytest.fixture
def api(stack: LocalStack) -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


def store_key(stack: LocalStack) -> None:
    stack.clients.secretsmanager.create_secret(
        Name=stack.settings.provider_secret_name, SecretString=json.dumps({"key": KEY, "secret": SECRET})
    )


def resources(stack: LocalStack, api: ScriptedServer, **changed: str) -> dict[str, Any]:
    environ = {**stack.settings.environ(), "PROVIDER_URL": api.url, "SYMBOLS": "F,GE", **changed}
    return {"lake": LakeResource(environ=environ)}


def materialize(
    stack: LocalStack, api: ScriptedServer, *answers: Answer, day: date = SESSION, **changed: str
) -> dg.ExecuteInProcessResult:
    api.play(*answers)
    return dg.materialize(
        [history(session_partitions(date(2018, 1, 2)))],
        resources=resources(stack, api, **changed),
        partition_key=day.isoformat(),
        raise_on_error=False,
    )


def page(content: dict[str, Any], token: str | None = None) -> Answer:
    return Answer(json.dumps({"trades": content, "next_page_token": token}).encode())


def bars(**symbols: dict[str, Any]) -> Answer:
    answer = {"bars": {symbol: [bar] for symbol, bar in symbols.items()}, "next_page_token": None}
    return Answer(json.dumps(answer).encode())


def figures(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("history")
    return {name: value.value for name, value in event.metadata.items()}


def raw_rows(stack: LocalStack) -> list[Any]:
    objects = stack.wiring.objects
    return [row for listed in objects.list(RAW_PREFIX) for row in read_trades(objects.get(listed.key))]


def of_symbol(symbol: str) -> dict[str, Any]:
    return {symbol: json.loads(RECORDED)["trades"][symbol]}


def producers_ids(api: ScriptedServer) -> list[str]:
    """The ids that the producer gives to the same answer."""
    api.play(Answer(RECORDED))
    clock = Clock()
    with closing(ReusedConnection(api.url, clock.now_ns)) as http:
        provider = alpaca_over(http, clock, ["F", "GE"])
        begun = next(iter(provider.poll(None, deadline(clock)))).checkpoint
        clock.ns += 10**9
        return [row.event_id for capture in provider.poll(begun, deadline(clock)) for row in capture.trades]


def test_a_session_has_the_producers_ids_and_is_read_once(stack: LocalStack, api: ScriptedServer) -> None:
    store_key(stack)
    first = materialize(stack, api, Answer(RECORDED), bars())
    again = materialize(stack, api, Answer(RECORDED), bars())
    rows = raw_rows(stack)
    assert sorted(row.event_id for row in rows) == sorted(producers_ids(api))
    assert [figures(result)["dagster/partition_row_count"] for result in (first, again)] == [len(rows)] * 2
    assert "| F | " in figures(first)["symbols"]
    asked = query_of(api.seen[0].path)
    assert (asked["asof"], asked["start"], asked["end"]) == (
        "2018-06-04",
        "2018-06-04T04:00:00Z",
        "2018-06-05T03:59:59.999999999Z",
    )
    assert query_of(api.seen[1].path)["adjustment"] == "raw"


def test_a_run_that_died_goes_on_at_its_page(stack: LocalStack, api: ScriptedServer) -> None:
    store_key(stack)
    died = materialize(stack, api, page(of_symbol("F"), "second"), Answer(status=403))
    assert not died.success
    done = materialize(stack, api, page(of_symbol("GE")), bars())
    assert query_of(api.seen[2].path)["page_token"] == "second"
    told = figures(done)
    assert (told["pages"], told["pages_of_an_earlier_run"]) == (2, 1)
    assert {row.symbol for row in raw_rows(stack)} == {"F", "GE"}


def test_a_gap_is_healed_and_what_was_there_stays_once(stack: LocalStack, api: ScriptedServer) -> None:
    store_key(stack)
    materialize(stack, api, page(of_symbol("F")), bars())
    live = raw_rows(stack)
    objects = stack.wiring.objects
    objects.delete([listed.key for listed in objects.list(RAW_PREFIX)])
    put_raw_file(objects, SESSION, 1, live[:1])
    compact(stack, api)
    materialize(stack, api, Answer(RECORDED), bars())
    compact(stack, api)
    published = stack.wiring.partition(SESSION).published()
    assert published is not None
    rows = read_trades(objects.get(published.place.data_key))
    assert {row.symbol for row in rows} == {"F", "GE"}
    assert sorted(row.event_id for row in rows) == sorted({row.event_id for row in raw_rows(stack)})


def compact(stack: LocalStack, api: ScriptedServer) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [trades(session_partitions(date(2018, 1, 2)), stack.settings.database_name), bars_agree_with_alpaca()],
        resources=resources(stack, api),
        partition_key=SESSION.isoformat(),
    )


def verdict(stack: LocalStack, api: ScriptedServer) -> dg.AssetCheckEvaluation:
    (found,) = compact(stack, api).get_asset_check_evaluations()
    return found


def test_bars_are_held_against_alpacas(stack: LocalStack, api: ScriptedServer) -> None:
    store_key(stack)
    put_raw_file(stack.wiring.objects, SESSION, 1)
    nothing_fetched = verdict(stack, api)
    assert nothing_fetched.passed
    materialize(stack, api, page(of_symbol("F")), bars(F=BAR))
    agreed = verdict(stack, api)
    assert (agreed.passed, agreed.metadata["sessions"].value) == (True, 1), agreed.description
    materialize(stack, api, page(of_symbol("F")), bars(F={**BAR, "v": 310, "h": 11.8}, GE=BAR))
    differing = verdict(stack, api)
    assert (differing.passed, differing.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert differing.metadata["differing"].value == 3
    assert "| 2018-06-04 | F | high | 11.71" in str(differing.metadata["differences"].value)


def test_a_piece_that_is_no_trade_goes_to_the_dead_letters(stack: LocalStack, api: ScriptedServer) -> None:
    store_key(stack)
    bad = {"F": [*of_symbol("F")["F"], {"t": "2018-06-04T19:18:17Z", "p": 0, "s": 5, "i": 9, "z": "A"}]}
    done = materialize(stack, api, page(bad), bars())
    assert (figures(done)["unreadable"], figures(done)["dagster/partition_row_count"]) == (1, 2)
    assert stack.wiring.dead_letters.depth().waiting == 1


def failure(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    (event,) = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    return error.message


def test_without_a_key_it_says_where_to_store_one(stack: LocalStack, api: ScriptedServer) -> None:
    said = failure(materialize(stack, api))
    assert stack.settings.provider_secret_name in said
    assert "store the API key" in said
    assert api.seen == []


def test_another_provider_is_told_about_import(stack: LocalStack, api: ScriptedServer) -> None:
    assert "stock-pipeline import" in failure(materialize(stack, api, PROVIDER="finnhub"))


def test_a_refused_key_fails_at_once(stack: LocalStack, api: ScriptedServer) -> None:
    store_key(stack)
    assert "check the key" in failure(materialize(stack, api, Answer(status=401)))
    assert len(api.seen) == 1


def test_a_check_that_compared_nothing_says_so() -> None:
    assert check_result({}, "").description == "nothing compared: `history` has fetched no bars"
    assert check_result({date(2018, 1, 2): []}, "").description == "the bars of 1 sessions agree"
