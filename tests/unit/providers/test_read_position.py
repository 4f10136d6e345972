"""Until when a source was read: polls say so, a stream does not."""

import msgspec
import pytest

from stock_pipeline.providers.alpaca.pages import CapturePosition
from stock_pipeline.providers.alpaca.position import StreamPosition
from stock_pipeline.providers.read_position import alpaca_read_to_ns


def polled(start_ns: int, end_ns: int, page_token: str | None = None) -> str:
    return msgspec.json.encode(CapturePosition(start_ns, end_ns, page_token, "query")).decode()


def test_a_window_is_read_to_its_end_once_all_its_pages_are() -> None:
    assert alpaca_read_to_ns(polled(5, 9), None) == 9
    assert alpaca_read_to_ns(polled(5, 9, "page 2"), None) == 5


def test_a_position_of_the_stream_says_nothing_of_the_time_after_its_last_trade() -> None:
    assert alpaca_read_to_ns(None, StreamPosition(7).text()) is None
    assert alpaca_read_to_ns(polled(5, 9), StreamPosition(20).text()) is None
    # the stream was given up, and polls took over
    assert alpaca_read_to_ns(polled(5, 90), StreamPosition(20).text()) == 90


@pytest.mark.parametrize("text", ["", "{", "7", '{"start_ns": 1}'])
def test_a_checkpoint_that_is_not_understood_says_nothing(text: str) -> None:
    assert alpaca_read_to_ns(text, None) is None
    assert alpaca_read_to_ns(polled(5, 9), text if text != "7" else "{}") is None
    assert alpaca_read_to_ns(None, None) is None
