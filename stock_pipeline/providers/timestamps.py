"""RFC 3339 text to and from nanoseconds since 1970-01-01 UTC, without loss.

What a time means (session, order) belongs to the domain. `datetime.fromisoformat` would silently cut a fraction to
microseconds.
"""

import re
from datetime import UTC, datetime, timedelta

NANOSECONDS = 10**9

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400


def parse_rfc3339_ns(text: str) -> int:
    """Return the nanoseconds since 1970-01-01 UTC of an RFC 3339 time with 0 to 9 fraction digits.

    Raises `ValueError` for anything else: no offset, lower-case letters, blanks, more digits, text around it, or a
    second of 60 (which POSIX time lacks).
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 time with a zone and at most 9 fraction digits")
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    since = moment - _EPOCH
    seconds = since.days * _DAY_SECONDS + since.seconds
    if sign is not None:
        seconds -= _offset_seconds(sign, int(offset_hours), int(offset_minutes))
    return seconds * NANOSECONDS + int((fraction or "").ljust(9, "0"))


def format_rfc3339_ns(time_ns: int) -> str:
    """Return the shortest RFC 3339 text in UTC (`Z`) that `parse_rfc3339_ns` reads back as `time_ns`.

    Raises `OverflowError` outside the years 1 to 9999.
    """
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS)
    moment = _EPOCH + timedelta(seconds=seconds)
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + "Z"


def _offset_seconds(sign: str, hours: int, minutes: int) -> int:
    if hours > 23 or minutes > 59:
        raise ValueError(f"offset {sign}{hours:02}:{minutes:02} is not one that a clock shows")
    seconds = hours * 3600 + minutes * 60
    return -seconds if sign == "-" else seconds
