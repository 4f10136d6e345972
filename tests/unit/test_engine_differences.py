"""The comparison of both engines' answers sees types, scales and single milliseconds."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.support.engines import ALIKE_IN_QUERIES, TypedAnswer, alike, differences, to_milliseconds

IN_MARTS = alike(translated=False)


def answer(kind: str, *values: Any) -> TypedAnswer:
    return TypedAnswer([("a", kind)], [(value,) for value in values])


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2018-01-02 14:30:{text}")


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ("00.000499", "00.000"),
        ("00.000500", "00.001"),
        ("00.002500", "00.003"),
        ("00.999499", "00.999"),
        ("00.999500", "01.000"),
    ],
)
def test_a_time_is_rounded_half_up_to_milliseconds(exact: str, rounded: str) -> None:
    assert to_milliseconds(at(exact)) == at(rounded)


def test_answers_that_differ_only_as_the_rules_allow_are_the_same() -> None:
    same = [
        (answer("timestamp(3)", at("00.001"), None), answer("TIMESTAMP", None, at("00.0005"))),
        (answer("varchar", "x"), answer("VARCHAR", "x")),
        (answer("decimal(18,6)", Decimal("1.500000")), answer("DECIMAL(18,6)", Decimal("1.500000"))),
    ]
    assert [differences(*pair, IN_MARTS) for pair in same] == [[], [], []]
    average = answer("decimal(18,6)", Decimal("0.333333")), answer("DOUBLE", 1 / 3)
    assert differences(*average, ALIKE_IN_QUERIES) == []
    assert differences(*average, IN_MARTS) == ["a is decimal(18,6) on Athena, DOUBLE on DuckDB"]


@pytest.mark.parametrize(
    ("athena", "local"),
    [
        (answer("timestamp(3)", at("00.000")), answer("TIMESTAMP", at("00.0005"))),
        (answer("timestamp(3)", at("00.001")), answer("TIMESTAMP WITH TIME ZONE", at("00.001"))),
        (answer("timestamp(6)", at("00.001")), answer("TIMESTAMP", at("00.001"))),
        (answer("bigint", 1), answer("INTEGER", 1)),
        (answer("decimal(18,6)", Decimal("1.000000")), answer("DECIMAL(18,4)", Decimal("1.0000"))),
        (answer("double", 1.0), answer("DOUBLE", 1)),
        (answer("bigint", 1, 1, 2), answer("BIGINT", 1, 2, 2)),
        (answer("bigint", None), answer("BIGINT", 0)),
        (TypedAnswer([("b", "bigint")], [(1,)]), answer("BIGINT", 1)),
        (answer("bigint"), answer("BIGINT")),
    ],
    ids=["rounding", "zone", "precision", "width", "scale", "kind", "how often", "null", "name", "nothing to compare"],
)
def test_every_other_difference_is_told(athena: TypedAnswer, local: TypedAnswer) -> None:
    assert differences(athena, local, IN_MARTS)
