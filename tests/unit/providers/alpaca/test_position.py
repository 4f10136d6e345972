"""The stream's stored position is readable whoever wrote it, and what is not one is refused."""

import pytest

from stock_pipeline.providers.alpaca.pages import CapturePosition, CheckpointError
from stock_pipeline.providers.alpaca.position import StreamPosition

NOW = 1_767_366_000_000_000_000
BEGUN = CapturePosition(NOW - 5, NOW, "QUFQTA==", "6f716d413aab413b")


def test_a_position_outside_of_gaps_is_an_integer_of_nanoseconds() -> None:
    assert StreamPosition(NOW).text() == str(NOW)
    assert StreamPosition.of(str(NOW)) == StreamPosition(NOW)


def test_a_position_within_a_gap_holds_the_next_page() -> None:
    position = StreamPosition(NOW, BEGUN)
    assert StreamPosition.of(position.text()) == position


def test_a_position_holds_the_amendments_that_wait() -> None:
    position = StreamPosition(NOW, None, ('{"T":"x","S":"AAPL","i":7}',))
    assert StreamPosition.of(position.text()) == position


def test_a_gap_without_a_page_read_is_only_its_instant() -> None:
    assert StreamPosition(NOW, CapturePosition(NOW - 5, NOW, None, "q")).text() == str(NOW)


@pytest.mark.parametrize("text", ["", "{}", "null", "1.5", '"1"', "[1]", '{"start_ns": 1}', '{"complete_to_ns": "1"}'])
def test_what_is_no_position_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(CheckpointError, match="restore it, or delete it"):
        StreamPosition.of(text)
