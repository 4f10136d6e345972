"""A provider's key, kept out of texts, representations and payloads.

Storing and fetching a key does not belong here; it arrives as a value. How it may be written belongs to `key_forms`.
"""

import re
from dataclasses import dataclass

from stock_pipeline.errors import PermanentError
from stock_pipeline.providers.client.key_forms import pattern_of

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
        """Return `text` without the key and the secret, however they are written."""
        return pattern_of(self.key, self.secret).sub(HIDDEN, text)

    def redact_bytes(self, payload: bytes) -> bytes:
        """Return `payload` without the key and the secret."""
        # Every byte is one character of Latin-1, there and back.
        return self.redact(payload.decode("latin-1")).encode("latin-1")
