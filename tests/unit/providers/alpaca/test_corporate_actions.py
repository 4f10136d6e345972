"""Alpaca's corporate actions over loopback: whole or not at all, each by its ex-date."""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from stock_pipeline.domain.corporate_action import ActionKind, CorporateAction
from stock_pipeline.providers.alpaca.corporate_actions import ActionsAnswer, AlpacaCorporateActions
from stock_pipeline.providers.client.http import ReusedConnection, UnexpectedAnswerError
from tests.support.clock import START_NS, Clock
from tests.support.provider_fakes import (
    KEY,
    Answer,
    ScriptedServer,
    alpaca_api,
    deadline,
    query_of,
    recorded,
    scripted_server,
)

NO_CHANGES = Answer(b'{"corporate_actions": {}, "next_page_token": null}')


@contextmanager
def over_loopback(*answers: Answer) -> Iterator[tuple[AlpacaCorporateActions, ScriptedServer, Clock]]:
    clock = Clock()
    offset = time.time_ns() - START_NS
    with scripted_server() as server:
        server.play(*answers)
        http = ReusedConnection(server.url, lambda: time.time_ns() - offset)
        with closing(http):
            yield AlpacaCorporateActions(alpaca_api(http, clock)), server, clock


def read(*answers: Answer, symbols: tuple[str, ...] = ("AAPL",)) -> tuple[ActionsAnswer, list[dict[str, str]]]:
    with over_loopback(*answers) as (actions, server, clock):
        answer = actions.read(symbols, date(2016, 1, 1), date(2027, 1, 1), deadline(clock))
        return answer, [query_of(seen.path) for seen in server.seen]


def page(token: str | None = None, **kinds: Any) -> Answer:
    return Answer(json.dumps({"corporate_actions": kinds, "next_page_token": token}).encode())


def dividend(**fields: Any) -> dict[str, Any]:
    whole = {"symbol": "AAPL", "rate": 0.25, "ex_date": "2024-08-12", "process_date": "2024-08-15", "foreign": False}
    return whole | fields


def test_a_recorded_split_keeps_its_ex_date_though_it_is_payable_before() -> None:
    answer, _ = read(NO_CHANGES, Answer(recorded("alpaca/TestGetCorporateActions.1")), symbols=("NVDL",))
    assert (
        CorporateAction(
            ActionKind.SPLIT,
            "NVDL",
            date(2024, 3, 13),
            date(2024, 3, 13),
            shares_before=Decimal(1),
            shares_after=Decimal(6),
        )
        in answer.actions
    )
    assert dict(answer.not_taken) == {"stock_mergers": 2, "worthless_removals": 2}


def test_names_of_before_and_after_are_asked_for_too() -> None:
    answer, queries = read(Answer(recorded("alpaca/TestGetCorporateActions.1")), page(), symbols=("NMHI",))
    changes = [(action.symbol, action.new_symbol) for action in answer.actions if action.new_symbol]
    assert changes == [("LBBB", "NMHI")]
    assert [query.get("symbols") for query in queries] == [None, "LBBB,NMHI"]
    assert answer.question.symbols == {"LBBB", "NMHI"}


def test_pages_are_read_to_the_last_with_the_same_question() -> None:
    answer, queries = read(
        NO_CHANGES, page("p2", cash_dividends=[dividend()]), page(cash_dividends=[dividend(rate="0.26")])
    )
    assert [action.cash_amount for action in answer.actions] == [Decimal("0.25"), Decimal("0.26")]
    assert [query.get("page_token") for query in queries] == [None, None, "p2"]
    assert len({query["start"] + query["end"] for query in queries}) == 1


def test_pages_that_go_round_in_a_circle_are_no_answer() -> None:
    with pytest.raises(UnexpectedAnswerError, match="never end"):
        read(NO_CHANGES, page("p2"), page("p3"), page("p2"))


def test_a_stock_dividend_is_so_many_shares_more() -> None:
    answer, _ = read(NO_CHANGES, page(stock_dividends=[dividend(rate=0.05)]))
    assert [(action.shares_before, action.shares_after) for action in answer.actions] == [(1, Decimal("1.05"))]


@pytest.mark.parametrize(
    "fields", [{"ex_date": None}, {"rate": 0}, {"rate": "NaN"}, {"rate": 1e300}, {"symbol": "A B"}, {"rate": [1]}]
)
def test_a_record_that_is_no_action_is_told_and_the_others_go_on(fields: dict[str, Any]) -> None:
    answer, _ = read(NO_CHANGES, page(cash_dividends=[dividend(**fields), dividend()]))
    assert len(answer.actions) == 1
    assert len(answer.unreadable) == 1
    assert answer.unreadable[0].startswith("cash_dividends: ")


def test_a_symbol_with_an_unreadable_record_has_no_whole_answer() -> None:
    answer, _ = read(NO_CHANGES, page(cash_dividends=[dividend(ex_date=None)]), symbols=("AAPL", "MSFT"))
    assert answer.question.symbols == {"MSFT"}


@pytest.mark.parametrize("fields", [{"symbol": None}, {"symbol": 7}])
def test_an_unreadable_record_of_no_symbol_may_be_of_any(fields: dict[str, Any]) -> None:
    answer, _ = read(NO_CHANGES, page(cash_dividends=[dividend(**fields)]), symbols=("AAPL", "MSFT"))
    assert answer.question.symbols == frozenset()


def test_an_unreadable_change_of_other_symbols_is_not_told() -> None:
    changes = [
        {"old_symbol": old, "new_symbol": new, "process_date": "2024-03-14"}
        for old, new in [("ODD 1", "ZZ"), ("ODD 2", "AAPL")]
    ]
    answer, _ = read(page(name_changes=changes), page(), symbols=("AAPL", "MSFT"))
    assert ["ODD 2" in each for each in answer.unreadable] == [True]
    assert answer.question.symbols == {"MSFT"}


def test_a_new_cusip_under_the_same_symbol_is_no_change() -> None:
    change = {"old_symbol": "AAPL", "new_symbol": "AAPL", "process_date": "2024-03-14"}
    answer, _ = read(page(name_changes=[change]), page())
    assert answer.actions == []
    assert answer.unreadable == []


def test_a_key_in_a_record_is_hidden() -> None:
    answer, _ = read(NO_CHANGES, page(cash_dividends=[dividend(rate=0, symbol="AAPL", note=KEY)]))
    assert KEY not in answer.unreadable[0]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"message": "forbidden"}', b'{"corporate_actions": []}', b"<html>"])
def test_what_is_no_page_is_no_empty_answer(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        read(*[Answer(body)] * 6)
