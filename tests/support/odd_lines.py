"""Lines of the stream that are odd in ways known to divide parsers."""

import json
from dataclasses import asdict

from tests.support.trades import trade


def line(**changes: str) -> bytes:
    """A valid line with some fields replaced by JSON text as given."""
    fields = {name: json.dumps(value, default=float) for name, value in asdict(trade()).items()}
    fields["price"] = "10.50"
    fields.update(changes)
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items() if text != "absent") + "}").encode()


ODD_VALUES = {
    "price": ["1e2", "1E400", "-0.0", "0", "-5", "1.1234567", "NaN", "Infinity", "null", "true", '"1.5"', '"NaN"',
              "absent", "[1]", "999999999999.999999", "9999999999999", "1.10000000000", "01.5", "1.", "0.000001",
              "100." + "0" * 37 + "1", "123456789012.123456" + "0" * 30, "1e-999999999999"],
    "volume": ["null", "1.0", "1e3", "-1", "9223372036854775807", "9223372036854775808", '"100"', "true", "absent",
               "-0"],
    "event_time_ns": ["1.5e18", "-1", "9223372036854775808", "null", '"1"', "0", "4102444800000000001"],
    "sequence": ["-1", "18446744073709551616", "null"],
    "version": ["2147483647", "2147483648", "-1", "1.0"],
    "ingest_time_ns": ["-1", "null"],
    "symbol": ['""', '"A\\n"', '"\\u0041BC"', "5", "null", "{}", '"' + "A" * 300 + '"', '"\\ud800"', '"ÄBC"', '"A BC"'],
    "event_id": ['""', '"a b"', '"' + "x" * 97 + '"', '"a\\"b"', "7", '"\\u0000"', '"ü"', '"\x7f"'],
    "feed": ['"SIP"', '""', "null"],
    "capture_mode": ['"quote"', '"guess"', "1"],
    "status": ['"cancelled"', '"GOOD"', "null"],
    "exchange": ['"  "', "null", '""'],
    "conditions": ['"F I"', '"FI"', '"TOO-MANY-CONDITIONS"'],
    "tape": ['"A"', '"\\t"'],
}  # fmt: skip

BROKEN_LINES = [
    b"", b" ", b"not json", b"{", b"[]", b"null", b"1", b'"text"', b"{}", b"\xff\xfe", b"\x00", b"[" * 5000,
    line() + b"}", line() + b" " + line(), line()[:-1] + b',"extra":1}', line()[:-1] + b',"price":-5}',
    line()[:-1] + b',"pr\\u0069ce":2}', line()[:-1] + b",}", line() + b"\r", b"\xef\xbb\xbf" + line(),
    line().replace(b",", b" , "), line().replace(b'"tape"', b'"\\u0074ape"'),
]  # fmt: skip


def odd_lines() -> list[bytes]:
    odd = [line(**{name: text}) for name, texts in ODD_VALUES.items() for text in texts]
    return odd + BROKEN_LINES
