import json
import pickle
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from html import escape
from html.entities import html5
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.providers.client.credentials import Credentials, UnusableCredentialsError
from tests.support.provider_fakes import KEY, SECRET, credentials


def test_neither_key_nor_secret_shows_in_a_representation() -> None:
    shown = f"{credentials()!r} {credentials()} {[credentials()]}"
    assert KEY not in shown
    assert SECRET not in shown
    assert "secret stock-pipeline/dev/alpaca" in shown


@pytest.mark.parametrize(
    "form", [SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], SECRET.replace("/", r"\/"), KEY]
)
def test_every_form_of_a_key_is_taken_out(form: str) -> None:
    assert credentials().redact(f"you sent {form}!") == "you sent [hidden]!"
    assert credentials().redact_bytes(f"you sent {form}!".encode()) == b"you sent [hidden]!"


NAMES = {value: name for name, value in sorted(html5.items()) if name.endswith(";")}

CHARACTER_FORMS: list[Callable[[str], str]] = [
    str,
    lambda c: f"%{ord(c):02x}",
    lambda c: f"%{ord(c):02X}",
    lambda c: quote(f"%{ord(c):02x}", safe=""),
    lambda c: quote(quote(f"%{ord(c):02X}", safe=""), safe=""),
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
    lambda c: f"&#X{ord(c):04X};",
    lambda c: escape(f"&#{ord(c)};"),
    lambda c: f"&{NAMES[c]}" if c in NAMES else c,
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\u{ord(c):04X}",
    lambda c: json.dumps(f"\\u{ord(c):04x}")[1:-1],
    lambda c: f"\\x{ord(c):02x}",
    lambda c: json.dumps(c)[1:-1],
    lambda c: f"\\{c}",
]

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)


@given(KEYS, st.lists(st.sampled_from(CHARACTER_FORMS), min_size=40, max_size=40), st.booleans())
def test_any_mixture_of_escapes_hides_a_key(value: str, forms: list[Callable[[str], str]], is_secret: bool) -> None:
    subject = Credentials("here", "another-key", value) if is_secret else Credentials("here", value)
    written = "".join(form(c) for form, c in zip(forms, value, strict=False))
    assert subject.redact(f"é {written} é") == "é [hidden] é"
    assert subject.redact_bytes(f"é {written} é".encode()) == "é [hidden] é".encode()


@given(KEYS, st.sampled_from(CHARACTER_FORMS))
def test_one_escape_throughout_hides_a_key(value: str, form: Callable[[str], str]) -> None:
    written = "".join(map(form, value))
    assert Credentials("here", value).redact(f"({written})") == "([hidden])"
    for digits in (value.encode().hex(), value.encode().hex().upper()):
        assert Credentials("here", value).redact(f"({digits})") == "([hidden])"


@given(st.binary(max_size=9), KEYS, st.binary(max_size=9), st.sampled_from([b64encode, urlsafe_b64encode]))
def test_a_key_in_base64_leaves_no_letter_that_holds_any_of_it(
    before: bytes, value: str, after: bytes, encode: Callable[[bytes], bytes]
) -> None:
    written = encode(before + value.encode() + after).decode()
    for form in (written, written.replace("/", r"\/"), quote(written, safe="")):
        left, hidden, _ = Credentials("here", value).redact(form).partition("[hidden]")
        assert hidden
        # Letters of six bits, all of them before the key.
        assert len(quote_undone(left)) * 6 <= len(before) * 8
    *_, right = Credentials("here", value).redact(written).rpartition("[hidden]")
    letters = len(written.rstrip("=")) - len(right.rstrip("="))
    assert letters * 6 >= len(before + value.encode()) * 8


def quote_undone(text: str) -> str:
    return text.replace("%2B", "+").replace("%2F", "/").replace(r"\/", "/")


def test_basic_authentication_shows_neither_key_nor_secret() -> None:
    for encode in (b64encode, urlsafe_b64encode):
        header = encode(f"{KEY}:{SECRET}".encode()).decode()
        shown = credentials().redact(f"Authorization: Basic {header}")
        assert shown == "Authorization: Basic [hidden][hidden]"


def test_what_is_no_key_is_left_as_it_is() -> None:
    said = "%2F&#47;\\u002f c2VjcmV0 733363723374 too many requests"
    assert credentials().redact(said) == said


def test_a_key_that_begins_another_leaves_no_tail() -> None:
    assert Credentials("here", "abc", "abcdef").redact("abcdef abc") == "[hidden] [hidden]"


@pytest.mark.parametrize("key", ["", "two words", "line\nend", "tab\t", "schlüssel", "x" * 513])
def test_an_unusable_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(UnusableCredentialsError) as error:
        Credentials("secret prod/finnhub", key)
    assert "secret prod/finnhub" in str(error.value)
    assert not key or key not in str(error.value)


def test_credentials_are_values() -> None:
    assert pickle.loads(pickle.dumps(credentials())) == credentials()
    with pytest.raises(AttributeError):
        credentials().key = "other"  # type: ignore[misc]
