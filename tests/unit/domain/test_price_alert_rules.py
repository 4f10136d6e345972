"""A file of rules: what it takes, and what it says about each thing that it can't."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.price_alert import UNIT, Level, Move, Silence, Volume
from stock_pipeline.domain.price_alert_rules import MOST_BYTES, MOST_WATCHED, parse_rules
from stock_pipeline.errors import InputFileError

TODAY = date(2026, 1, 15)
EXAMPLE = Path(__file__).parents[3] / "examples" / "alerts.toml"


def parsed(text: str) -> object:
    (rule,) = parse_rules(f'[[alert]]\nname = "a"\nsymbol = "ABC"\n{text}'.encode(), "alerts.toml", TODAY)
    return rule


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("above = 200.1", Level(200_100_000, 199_099_500, above=True)),
        ("above = 200\nagain = 200", Level(200 * UNIT, 200 * UNIT, above=True)),
        ("below = 0.000001", Level(1, 2, above=False)),
        ("below = 0.1\nagain = 0.2", Level(100_000, 200_000, above=False)),
        ("moves_percent = 5\nminutes = 15", Move(5 * UNIT, 2_500_000, 15, rises=True, falls=True)),
        ("rises_percent = 2.5\nminutes = 1\nagain = 1", Move(2_500_000, UNIT, 1, rises=True, falls=False)),
        ("falls_percent = 1\nminutes = 390", Move(UNIT, UNIT // 2, 390, rises=False, falls=True)),
        ("volume_times = 10\nminutes = 20", Volume(10 * UNIT, 5 * UNIT, 20)),
        ("no_trade_minutes = 5", Silence(5)),
    ],
)
def test_numbers_are_read_as_they_are_written(text: str, condition: object) -> None:
    assert parsed(text).condition == condition  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "say one of above, below"),
        ("above = 1\nbelow = 2", "it has above and below"),
        ("above = '200'", "above takes a number above 0"),
        ("above = true", "above takes a number above 0"),
        ("above = nan", "above takes a number above 0"),
        ("above = 1e-999999999", "more than 6 decimal places"),
        ("above = 1000000000000000000000.00000000000000000000000001", "at most 999,999,999,999.999999"),
        ("above = 1.00000000000000000000000000000000000000000001", "more than 6 decimal places"),
        ("above = -1", "above takes a number above 0"),
        ("above = 200\nagain = 201", "again takes a price below 200"),
        ("below = 200\nagain = 199.5", "again takes a price above 200"),
        ("rises_percent = 2\nagain = 3\nminutes = 5", "again takes less than rises_percent"),
        ("rises_percent = 2", "minutes takes a whole number from 1 to 390"),
        ("rises_percent = 2\nminutes = 391", "minutes takes a whole number"),
        ("above = 2\nminutes = 3", "minutes is unknown here; with above it takes name, symbol"),
        ("no_trade_minutes = 5\nhours = 'all'", "hours is unknown here"),
        ("above = 2\nhours = 'night'", 'hours takes "regular" or "all"'),
        ("above = 2\nfeed = 'SIP'", "feed takes one such as"),
        ("above = 2\nfirst = '2026-01-20'", "first takes a session date without quotes"),
        ("above = 2\nfirst = 2026-01-20T10:00:00", "first takes a session date"),
        ("above = 2\nfirst = 2026-01-20\nlast = 2026-01-19", "last 2026-01-19 lies before first 2026-01-20"),
        ("above = 2\nfirst = 2062-01-20", "first 2062-01-20 is more than a year ahead"),
        ("above = ", "it is no TOML"),
    ],
)
def test_what_cannot_be_used_is_said_with_what_it_takes(text: str, said: str) -> None:
    with pytest.raises(InputFileError, match=r"^alerts\.toml: ") as raised:
        parsed(text)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "it has no rule; one is"),
        (b"alert = 1", "it has no rule"),
        (b"[alert]\nname = 'a'", "it has no rule"),
        (b"[[alerts]]\nname = 'a'", "alerts is unknown"),
        (b"\xff", "no text in UTF-8"),
        (b"#" * (MOST_BYTES + 1), "at most 262,144 are allowed"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"x = 1e99999999999999999999", "beyond all measure"),
        (b"[[alert]]\nsymbol = 'A'\nabove = 1", "alert 1: name takes small letters"),
        (b"[[alert]]\nname = 'A b'\nsymbol = 'A'\nabove = 1", "alert 1 (A b): name takes small letters"),
        (b"[[alert]]\nname = 'a'\nabove = 1", "alert 1 (a): symbol takes one"),
        (b"[[alert]]\nname = 'a'\nsymbol = ['A', 'b c']\nabove = 1", "'b c' is no symbol"),
        (b"[[alert]]\nname = 'a'\nsymbol = 'A'\nabove = 1\n" * 2, "two rules are named a"),
    ],
)
def test_a_file_that_is_none_says_why(body: bytes, said: str) -> None:
    with pytest.raises(InputFileError) as raised:
        parse_rules(body, "alerts.toml", TODAY)
    assert said in str(raised.value)


def test_more_symbols_than_can_be_watched_are_refused() -> None:
    names = [f"S{number}" for number in range(MOST_WATCHED + 1)]
    text = "[[alert]]\nname = 'a'\nsymbol = {}\nabove = 1"
    assert parse_rules(text.format(names[:-1]).encode(), "f", TODAY)
    with pytest.raises(InputFileError, match="at most 500 are allowed"):
        parse_rules(text.format(names).encode(), "f", TODAY)


def test_the_example_has_every_kind() -> None:
    rules = parse_rules(EXAMPLE.read_bytes(), "alerts.toml", TODAY)
    assert {type(rule.condition) for rule in rules} == {Level, Move, Volume, Silence}


@given(st.text(alphabet='[]a="1.e-\n# lertnamsyobv', max_size=120).map(str.encode) | st.binary(max_size=60))
def test_any_text_is_rules_or_a_named_fault(body: bytes) -> None:
    try:
        parse_rules(body, "f", TODAY)
    except InputFileError as error:
        assert str(error).startswith("f: ")  # noqa: PT017
