"""What is known of corporate actions follows from the log of news, whatever is revised, repeated or withdrawn."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.corporate_action import (
    ActionKind,
    CorporateAction,
    InvalidActionError,
    News,
    Question,
    SuspiciousAnswerError,
    known_actions,
    names_of_history,
    news_of,
)

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
EVERYTHING = Question(frozenset("ABCDEFGH"), date(2016, 1, 1), date(2027, 1, 1))


def split(symbol: str = "A", ex_date: date = date(2026, 11, 2), after: str = "4", before: str = "1") -> CorporateAction:
    return CorporateAction(
        ActionKind.SPLIT, symbol, ex_date, ex_date, shares_before=Decimal(before), shares_after=Decimal(after)
    )


def dividend(amount: str) -> CorporateAction:
    day = date(2026, 11, 9)
    return CorporateAction(ActionKind.CASH_DIVIDEND, "A", day, day, cash_amount=Decimal(amount))


def change(symbol: str, new_symbol: str) -> CorporateAction:
    day = date(2022, 6, 9)
    return CorporateAction(ActionKind.SYMBOL_CHANGE, symbol, day, day, new_symbol=new_symbol)


def test_an_answer_seen_before_is_no_news() -> None:
    first = news_of([split(), dividend("0.24")], EVERYTHING, frozenset(), "alpaca", NOON)
    assert [piece.is_withdrawn for piece in first] == [False, False]
    assert news_of([dividend("0.24"), split()], EVERYTHING, known_actions(first, "alpaca"), "alpaca", NOON) == []


def test_a_dividend_told_twice_is_one() -> None:
    news = news_of([dividend("0.24"), dividend("0.24")], EVERYTHING, frozenset(), "alpaca", NOON)
    assert len(news) == 1


def test_a_revised_amount_withdraws_the_old_one() -> None:
    known = frozenset({dividend("0.24")})
    news = news_of([dividend("0.25")], EVERYTHING, known, "alpaca", NOON)
    assert [(piece.action.cash_amount, piece.is_withdrawn) for piece in news] == [
        (Decimal("0.25"), False),
        (Decimal("0.24"), True),
    ]


def test_what_was_not_asked_for_is_not_withdrawn() -> None:
    known = frozenset({split("A"), split("B"), split("C", date(2015, 6, 1))})
    question = Question(frozenset("AC"), date(2016, 1, 1), date(2027, 1, 1))
    assert [piece.action.symbol for piece in news_of([], question, known, "alpaca", NOON)] == ["A"]


def test_a_change_that_is_called_off_is_withdrawn_under_its_new_symbol() -> None:
    known = frozenset({change("FB", "META"), change("X", "Y")})
    question = Question(frozenset({"META"}), date(2016, 1, 1), date(2027, 1, 1))
    news = news_of([], question, known, "alpaca", NOON)
    assert [(piece.action.new_symbol, piece.is_withdrawn) for piece in news] == [("META", True)]


def test_an_answer_without_most_of_what_is_known_is_refused() -> None:
    known = frozenset(split(symbol) for symbol in "ABCD")
    with pytest.raises(SuspiciousAnswerError, match="without 3 of 4"):
        news_of([split("A")], EVERYTHING, known, "alpaca", NOON)


def test_what_comes_back_after_a_withdrawal_is_known_again() -> None:
    news = [News(split(), "alpaca", NOON + timedelta(hours=hour), hour == 1) for hour in (2, 0, 1)]
    assert known_actions(news, "alpaca") == {split()}
    assert known_actions(news, "another") == frozenset()


@pytest.mark.parametrize(
    ("after", "before"), [("0", "1"), ("1", "1"), ("-4", "1"), ("NaN", "1"), ("0.1234567891", "1"), ("1E+9", "1")]
)
def test_shares_that_can_not_be_are_refused(after: str, before: str) -> None:
    with pytest.raises(InvalidActionError):
        split(after=after, before=before)


def test_a_symbol_that_changes_to_itself_is_refused() -> None:
    with pytest.raises(InvalidActionError, match="itself"):
        change("META", "META")


def test_names_go_back_and_forth_along_all_changes() -> None:
    changes = [change("FB", "META"), change("THEFB", "FB"), change("META", "MTA"), change("X", "Y")]
    assert names_of_history(["META"], changes) == {"THEFB", "FB", "META", "MTA"}


@given(st.lists(st.sets(st.sampled_from([split("A"), split("B"), dividend("1"), dividend("2")])), max_size=8))
def test_after_every_answer_just_that_answer_is_known(answers: list[set[CorporateAction]]) -> None:
    log: list[News] = []
    for hour, answer in enumerate(answers):
        known = known_actions(log, "alpaca")
        try:
            log += news_of(answer, EVERYTHING, known, "alpaca", NOON + timedelta(hours=hour))
        except SuspiciousAnswerError:
            assert known_actions(log, "alpaca") == known
        else:
            assert known_actions(log, "alpaca") == answer
