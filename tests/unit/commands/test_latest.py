"""`latest` fits a terminal."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from stock_pipeline.aws.answer_format import as_table
from stock_pipeline.aws.athena import Answer
from stock_pipeline.commands.latest import _for_people, age_text

COLUMNS = ("symbol", "feed", "session_date", "event_time", "price", "volume", "last_eligible", "sma_5", "sma_20")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7_300, "2h"), (180_000, "2d"), (280_000_000, "9y"), (-3, "-3s")],
)
def test_an_age_has_one_unit(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


def test_a_line_fits_eighty_columns() -> None:
    at = datetime(2018, 1, 2, 21, 0, 5, tzinfo=UTC)
    price, average = Decimal("284.090000"), Decimal("157.502500")
    row = ("BRK.B", "sim", date(2018, 1, 2), at, price, Decimal("50000.000000"), price, average, average, 280_000_000.0)
    shown = as_table(_for_people(Answer((*COLUMNS, "age_seconds"), [row], None, ()))).decode().splitlines()
    assert max(map(len, shown)) <= 80
    assert " ".join(shown[1].split()) == "BRK.B sim 01-02 21:00:05 284.09 50000 284.09 157.5025 157.5025 9y"
