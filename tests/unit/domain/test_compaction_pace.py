"""A session is rewritten when a share of it is new, which bounds how often a row is processed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.compaction_pace import is_worth_a_rewrite


@pytest.mark.parametrize(
    ("new", "base", "worth"), [(0, 0, False), (0, 100, False), (1, 0, True), (24, 76, False), (25, 75, True)]
)
def test_a_quarter_of_a_session_is_worth_a_rewrite(new: int, base: int, worth: bool) -> None:
    assert is_worth_a_rewrite(new, base, 0.25) is worth


@given(st.integers(1, 10**12), st.integers(0, 10**12))
def test_a_share_of_zero_rewrites_for_any_file_and_of_one_only_for_the_first(new: int, base: int) -> None:
    assert is_worth_a_rewrite(new, base, 0)
    assert is_worth_a_rewrite(new, base, 1) == (base == 0)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=100), st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_no_day_makes_a_rule_process_a_row_more_often_than_its_share_allows(arrivals: list[int], share: float) -> None:
    published = processed = total = 0
    for arrived in arrivals:
        total += arrived
        if is_worth_a_rewrite(total - published, published, share):
            published = total
            processed += total
    # versions grow by 1 / (1 - share), so their sum is a geometric series; the close adds one
    assert processed + total <= total * (1 / share + 1) + 1e-6 * total
