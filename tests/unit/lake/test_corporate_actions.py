"""The log of corporate actions: what was learned is there, once or twice written; half a log is none."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from stock_pipeline.domain.corporate_action import ActionKind, CorporateAction, News, known_actions
from stock_pipeline.errors import PermanentError
from stock_pipeline.lake.corporate_actions import CorporateActionLog
from tests.fakes.stores import FakeObjectStore

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = date(2026, 12, 7)
DIVIDEND = CorporateAction(ActionKind.CASH_DIVIDEND, "A", DAY, DAY, cash_amount=Decimal("0.241935484"))
SPLIT = CorporateAction(ActionKind.SPLIT, "A", DAY, DAY, shares_before=Decimal(25), shares_after=Decimal(1))
CHANGE = CorporateAction(ActionKind.SYMBOL_CHANGE, "A", DAY, DAY, new_symbol="B.WS")


def log_of(*pieces: list[News]) -> CorporateActionLog:
    log = CorporateActionLog(FakeObjectStore())
    for news in pieces:
        log.append(news)
    return log


def news(action: CorporateAction, hour: int, is_withdrawn: bool = False) -> News:
    return News(action, "alpaca", NOON + timedelta(hours=hour), is_withdrawn)


def test_news_comes_back_as_it_was_learned() -> None:
    first, second = [news(DIVIDEND, 0), news(CHANGE, 0)], [news(SPLIT, 1), news(DIVIDEND, 1, True)]
    assert log_of(second, first).read() == first + second


def test_the_same_news_written_twice_says_it_once() -> None:
    log = log_of([news(SPLIT, 0)], [news(SPLIT, 0)], [news(SPLIT, 1)])
    assert known_actions(log.read(), "alpaca") == {SPLIT}
    assert len(list(log.objects.list("reference/"))) == 2


def test_no_news_writes_no_file() -> None:
    log = log_of()
    assert log.append([]) is None
    assert log.read() == []


@pytest.mark.parametrize("body", [b"", b"PAR1", b"no parquet at all"])
def test_a_torn_file_is_named_and_nothing_is_read(body: bytes) -> None:
    log = log_of([news(SPLIT, 0)])
    log.objects.put("reference/corporate_actions/torn.parquet", body)
    with pytest.raises(PermanentError, match="torn"):
        log.read()


def test_a_clock_that_was_set_back_learns_nothing_in_the_past() -> None:
    log = log_of([news(SPLIT, 5)])
    learned_at = log.time_of_next(NOON, log.read())
    log.append([News(SPLIT, "alpaca", learned_at, True)])
    assert known_actions(log.read(), "alpaca") == frozenset()
