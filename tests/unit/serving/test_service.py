"""What one look found is shown, even if something else fails at that moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import RetryableError
from stock_pipeline.serving.events import Frame
from stock_pipeline.serving.follower import Followed
from tests.support.market import Market
from tests.support.trades import SESSION, trade

KEY = SymbolKey("ABC", "sim")


def test_a_trade_is_shown_though_the_table_was_away_at_its_look(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[Frame] = []
    market.service.publish = frames.append
    market.lake.add([trade(0)], 0)

    def away(*_arguments: object) -> None:
        raise RetryableError("the table is away")

    with monkeypatch.context() as patch:
        patch.setattr(market, "read", away)
        with pytest.raises(RetryableError):
            market.step()
    market.step()
    assert KEY in market.service.board.quotes
    assert [frame.everything for frame in frames] == [True]


def test_bars_are_answered_while_the_models_and_the_table_take_their_time(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.lake.add([trade(0)], 0)
    market.step()
    answers: list[int] = []

    def slow(*_arguments: object) -> list[object]:
        # another thread's, as requests are: it would wait for ever if the step held the lock
        with ThreadPoolExecutor(1) as pool:
            answers.append(len(pool.submit(market.service.live_bars, KEY).result(timeout=30)))
        return []

    monkeypatch.setattr(market, "read", slow)
    monkeypatch.setattr(market.service.history, "ask", slow)
    market.step()
    assert answers == [1, 1]


@pytest.mark.parametrize("slow_call", ["list", "folders", "get_if_there"])
def test_bars_are_answered_while_the_lake_takes_its_time(
    market: Market, monkeypatch: pytest.MonkeyPatch, slow_call: str
) -> None:
    market.lake.add([trade(0)], 0)
    market.step()
    answers: list[int] = []
    call = getattr(market.lake.store, slow_call)

    def slow(*arguments: object, **named: object) -> object:
        with ThreadPoolExecutor(1) as pool:
            answers.append(len(pool.submit(market.service.live_bars, KEY).result(timeout=30)))
        return call(*arguments, **named)

    monkeypatch.setattr(market.lake.store, slow_call, slow)
    market.lake.pass_time(timedelta(minutes=1))
    market.lake.add([trade(60)], 1)
    market.step()
    assert set(answers) == {1}
    assert len(market.service.live_bars(KEY)) == 2


def test_a_fault_of_one_look_is_told_and_does_not_end_the_following(
    market: Market, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    told: list[str | None] = []

    def look() -> Followed:
        if not told:
            told.append(None)
            raise ZeroDivisionError("nobody thought of this")
        told.append(market.service.failure)
        stop.set()
        return Followed(set(), False)

    monkeypatch.setattr(market.service.follower, "look", look)
    market.service.run(stop)
    assert told[1] == "ZeroDivisionError: nobody thought of this"
    assert "Traceback" in capsys.readouterr().err


def test_bars_of_a_new_session_are_shown_with_its_board(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    market.lake.add([trade(0)], 0)
    market.step()
    market.lake.pass_time(timedelta(days=1))
    market.lake.other_session()
    seen: list[object] = []

    def asked(*_arguments: object) -> list[object]:
        seen.append((market.service.board.session_date, market.service.live_bars(KEY)))
        return []

    monkeypatch.setattr(market, "read", asked)
    market.step()
    assert seen == [(SESSION, [])]
    assert market.service.board.session_date == market.lake.other_date
    assert market.service.live_bars(KEY)
