"""Pauses double up to the longest, and chance shortens them down to their certain share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.back_off import BackOff


@pytest.mark.parametrize(("certain_share", "shortest"), [(0.0, [0, 0, 0, 0]), (0.5, [0.5, 1, 2, 30])])
def test_pauses_double_up_to_the_longest(certain_share: float, shortest: list[float]) -> None:
    back_off = BackOff(1.0, 60.0, certain_share)
    assert [back_off.seconds(failures, lambda: 1.0) for failures in (1, 2, 3, 10_000)] == [1, 2, 4, 60]
    assert [back_off.seconds(failures, lambda: 0.0) for failures in (1, 2, 3, 10_000)] == shortest


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_no_pause_is_longer_than_the_longest(failures: int, certain_share: float, drawn: float) -> None:
    assert 0 <= BackOff(0.1, 5.0, certain_share).seconds(failures, lambda: drawn) <= 5.0 * (1 + 1e-12)
