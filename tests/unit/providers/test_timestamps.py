from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.providers.timestamps import format_rfc3339_ns, parse_rfc3339_ns

FIRST_NS = -62_135_596_800 * 10**9
LAST_NS = 253_402_300_800 * 10**9 - 1


@given(st.integers(FIRST_NS, LAST_NS))
def test_a_formatted_time_parses_to_itself(time_ns: int) -> None:
    assert parse_rfc3339_ns(format_rfc3339_ns(time_ns)) == time_ns


@given(st.datetimes(timezones=st.just(UTC)), st.text("0123456789", max_size=9), st.integers(-1439, 1439))
def test_any_fraction_and_offset_is_read_exactly(moment: datetime, fraction: str, offset_minutes: int) -> None:
    sign, minutes = ("-", -offset_minutes) if offset_minutes < 0 else ("+", offset_minutes)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + (f".{fraction}" if fraction else "")
    utc_ns = parse_rfc3339_ns(text + "Z")
    assert utc_ns % 10**9 == int(fraction.ljust(9, "0") or "0")
    assert parse_rfc3339_ns(f"{text}{sign}{minutes // 60:02}:{minutes % 60:02}") == utc_ns - offset_minutes * 60 * 10**9


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2021-10-13T08:00:00.08960768Z", 1_634_112_000_089_607_680),
        ("2022-01-20T17:26:08.000760661Z", 1_642_699_568_000_760_661),
        ("2022-01-20T12:26:08.000760661-05:00", 1_642_699_568_000_760_661),
        ("2024-02-29T23:59:59.999999999Z", 1_709_251_199_999_999_999),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_known_times_keep_every_nanosecond(text: str, time_ns: int) -> None:
    assert parse_rfc3339_ns(text) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022-01-20T17:26:08",
        "2022-01-20T17:26:08Z\n",
        " 2022-01-20T17:26:08Z",
        "2022-01-20 17:26:08Z",
        "2022-01-20t17:26:08z",
        "2022-01-20T17:26:08.Z",
        "2022-01-20T17:26:08.1234567890Z",
        "2022-01-20T17:26:08,5Z",
        "2022-01-20T17:26Z",
        "2022-02-30T17:26:08Z",
        "2022-01-20T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2022-01-20T17:26:08+24:00",
        "2022-01-20T17:26:08+05:60",
        "2022-01-20T17:26:08+0500",
        "２０２２-01-20T17:26:08Z",
        "0000-01-01T00:00:00Z",
        "1642699568",
        "NaN",
    ],
)
def test_what_is_no_rfc_3339_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|out of range|must be in|clock shows"):
        parse_rfc3339_ns(text)
