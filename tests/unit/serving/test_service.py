"""What one look found is shown, even if something else fails at that moment."""

import pytest

from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.errors import RetryableError
from stock_pipeline.serving.events import Frame
from tests.support.market import Market
from tests.support.trades import trade

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
