"""Each code of the tape by name, so that a change of the table is a change of this file."""

from itertools import permutations

import pytest

from stock_pipeline.domain.conditions import SALE_CONDITIONS, PrintRule, print_rule

REGULAR = PrintRule(
    updates_volume=True,
    updates_high_low=True,
    updates_open_close=True,
    is_official_print=False,
    is_opening=False,
    is_closing=False,
)
VOLUME_ONLY = PrintRule(
    updates_volume=True,
    updates_high_low=False,
    updates_open_close=False,
    is_official_print=False,
    is_opening=False,
    is_closing=False,
)
OFFICIAL = PrintRule(
    updates_volume=False,
    updates_high_low=False,
    updates_open_close=False,
    is_official_print=True,
    is_opening=False,
    is_closing=False,
)


@pytest.mark.parametrize("code", list("@1ADEFKLSXY5"))
def test_a_regular_print_counts_in_every_figure(code: str) -> None:
    assert print_rule(code) == REGULAR


@pytest.mark.parametrize("code", list("BWCNRTUIPZ47VHG"))
def test_a_print_at_an_odd_price_time_or_size_counts_in_volume_only(code: str) -> None:
    assert print_rule(code) == VOLUME_ONLY


@pytest.mark.parametrize("code", list("MQ9"))
def test_an_official_print_counts_in_nothing(code: str) -> None:
    assert print_rule(code) == OFFICIAL


def test_the_opening_and_the_closing_auction_are_known() -> None:
    assert print_rule("O").is_opening
    assert not print_rule("O").is_closing
    assert print_rule("6").is_closing
    assert not print_rule("6").is_opening


def test_the_table_has_each_code_once_and_no_other() -> None:
    codes = [condition.code for condition in SALE_CONDITIONS]
    assert sorted(codes) == sorted("@1ADEFKLSXY5" + "BWCNRTUIPZ47VHG" + "MQ9" + "O6")


def test_no_code_at_all_is_a_regular_sale() -> None:
    assert print_rule("") == REGULAR


@pytest.mark.parametrize("code", list("?~8a"))
def test_an_unknown_code_forbids_nothing(code: str) -> None:
    assert print_rule(code) == REGULAR
    assert print_rule(code + "I") == VOLUME_ONLY


@pytest.mark.parametrize("conditions", ["FI", "FTI", "4B", "NTB"])
def test_one_code_that_forbids_a_price_is_enough_in_any_order(conditions: str) -> None:
    for order in permutations(conditions):
        assert print_rule("".join(order)) == VOLUME_ONLY


@pytest.mark.parametrize("auction", list("O56"))
def test_an_auction_print_makes_a_price_whatever_stands_beside_it(auction: str) -> None:
    for conditions in (f"I{auction}", f"{auction}I", f"T{auction}Z"):
        rule = print_rule(conditions)
        assert (rule.updates_volume, rule.updates_high_low, rule.updates_open_close) == (True, True, True)


def test_an_official_print_counts_in_nothing_even_beside_an_auction_code() -> None:
    assert print_rule("6M") == OFFICIAL
