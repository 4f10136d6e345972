import json
import pickle
from urllib.parse import quote

import pytest

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
