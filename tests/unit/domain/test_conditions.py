"""Each code of the tape by name, so that a change of the table is a change of this file."""

from dataclasses import replace
from itertools import permutations

import pytest

from stock_pipeline.domain.conditions import SALE_CONDITIONS, PrintRule, print_rule

REGULAR = PrintRule(
    updates_volume=True,
    updates_high_low=True,
    updates_open_close=True,
    opens_and_closes_alone=False,
    is_official_print=False,
    is_opening=False,
    is_closing=False,
    is_corrected_close=False,
    unknown_codes="",
)
VOLUME_ONLY = replace(REGULAR, updates_high_low=False, updates_open_close=False)
HIGH_LOW = replace(REGULAR, updates_open_close=False, opens_and_closes_alone=True)
OFFICIAL = replace(VOLUME_ONLY, updates_volume=False, is_official_print=True)


@pytest.mark.parametrize("code", list("@12ADEFKSXY5"))
def test_a_regular_print_counts_in_every_figure(code: str) -> None:
    assert print_rule(code) == REGULAR


@pytest.mark.parametrize("code", list("BWCNRTUI7VH"))
def test_an_odd_price_time_or_size_counts_in_volume_only(code: str) -> None:
    assert print_rule(code) == VOLUME_ONLY


@pytest.mark.parametrize("tape", ["", "A", "B", "C"])
@pytest.mark.parametrize("code", list("ZP4G3"))
def test_a_late_or_borrowed_price_may_be_high_or_low_but_first_or_last_only_alone(code: str, tape: str) -> None:
    assert print_rule(code, tape) == HIGH_LOW
    assert print_rule(code + "I", tape) == VOLUME_ONLY


@pytest.mark.parametrize(("tape", "rule"), [("", HIGH_LOW), ("A", HIGH_LOW), ("B", HIGH_LOW), ("C", REGULAR)])
def test_sold_last_is_a_last_price_on_tape_c(tape: str, rule: PrintRule) -> None:
    assert print_rule("L", tape) == rule


@pytest.mark.parametrize("code", list("MQ"))
def test_an_official_print_counts_in_nothing(code: str) -> None:
    assert print_rule(code) == OFFICIAL


def test_a_corrected_close_counts_only_as_the_close() -> None:
    assert print_rule("9") == replace(OFFICIAL, is_corrected_close=True)
    assert print_rule("6X").is_closing


@pytest.mark.parametrize(("tape", "rule"), [("", VOLUME_ONLY), ("A", VOLUME_ONLY), ("B", VOLUME_ONLY), ("C", REGULAR)])
def test_b_is_a_bunched_trade_on_tape_c_else_an_average_price(tape: str, rule: PrintRule) -> None:
    assert print_rule("B", tape) == rule


def test_a_tape_nobody_knows_has_the_stricter_meanings() -> None:
    assert print_rule("B", "O") == VOLUME_ONLY


def test_the_opening_and_the_closing_auction_are_known() -> None:
    assert print_rule("O").is_opening
    assert not print_rule("O").is_closing
    assert print_rule("6").is_closing
    assert not print_rule("6").is_opening


def test_the_table_has_each_code_once_and_no_other() -> None:
    codes = [condition.code for condition in SALE_CONDITIONS if not condition.tape]
    assert sorted(codes) == sorted("@12ADEFKSXY5" + "BWCNRTUI7VH" + "ZP4G3L" + "MQ9" + "O6")
    assert [(condition.code, condition.tape) for condition in SALE_CONDITIONS if condition.tape] == [
        ("B", "C"),
        ("L", "C"),
    ]


def test_no_code_at_all_is_a_regular_sale() -> None:
    assert print_rule("") == REGULAR


@pytest.mark.parametrize("code", list("?~8a"))
def test_an_unknown_code_forbids_nothing_and_is_named(code: str) -> None:
    assert print_rule(code) == replace(REGULAR, unknown_codes=code)
    assert print_rule(code + "I") == replace(VOLUME_ONLY, unknown_codes=code)


@pytest.mark.parametrize("conditions", ["FI", "FTI", "4B", "NTB", "ZT"])
def test_one_code_that_forbids_a_price_is_enough_in_any_order(conditions: str) -> None:
    for order in permutations(conditions):
        assert print_rule("".join(order)) == VOLUME_ONLY


@pytest.mark.parametrize("auction", list("O56"))
def test_an_auction_print_makes_a_price_beside_any_code(auction: str) -> None:
    for conditions in (f"I{auction}", f"{auction}I", f"T{auction}Z"):
        rule = print_rule(conditions)
        assert (rule.updates_volume, rule.updates_high_low, rule.updates_open_close) == (True, True, True)


def test_an_official_print_counts_in_nothing_even_in_an_auction() -> None:
    assert print_rule("6M") == OFFICIAL
