"""A provider's key, kept out of texts, representations and payloads.

Storing and fetching a key does not belong here; it arrives as a value.
"""

import json
import re
from dataclasses import dataclass
from urllib.parse import quote

from stock_pipeline.errors import PermanentError

HIDDEN = "[hidden]"

_USABLE = re.compile(r"[\x21-\x7e]{1,512}")


class UnusableCredentialsError(PermanentError):
    """A key is empty or unfit for an HTTP header; the message names its source only."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Key of one provider; raises `UnusableCredentialsError`.

    source: origin of the key, so that an error can name what to check
    secret: empty for a provider with a single token (Finnhub)
    """

    source: str
    key: str
    secret: str = ""

    def __post_init__(self) -> None:
        for name, value in (("key", self.key), ("secret", self.secret or "-")):
            # http.client would show the value in its error about a bad header.
            if _USABLE.fullmatch(value) is None:
                raise UnusableCredentialsError(
                    f"the {name} in {self.source} is empty or has blanks or line ends in it: store it again"
                )

    def __repr__(self) -> str:
        return f"Credentials(source={self.source!r})"

    def redact(self, text: str) -> str:
        """Return `text` without the key and the secret, plain, JSON-escaped or percent-encoded."""
        for form in self._forms():
            text = text.replace(form, HIDDEN)
        return text

    def redact_bytes(self, payload: bytes) -> bytes:
        """Return `payload` without the key and the secret."""
        for form in self._forms():
            payload = payload.replace(form.encode(), HIDDEN.encode())
        return payload

    def _forms(self) -> list[str]:
        values = [value for value in (self.key, self.secret) if value]
        forms = {form for value in values for form in _written(value)}
        # Longest first, so that a key that begins another one leaves no tail.
        return sorted(forms, key=len, reverse=True)


def _written(value: str) -> tuple[str, ...]:
    escaped = json.dumps(value)[1:-1]
    return value, escaped, escaped.replace("/", "\\/"), quote(value, safe="")
