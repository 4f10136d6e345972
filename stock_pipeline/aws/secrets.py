"""API keys from Secrets Manager, read once in a while and never shown."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from stock_pipeline.aws.passing_errors import passing_as_retryable
from stock_pipeline.errors import PermanentError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

KEPT_SECONDS = 900
"""A rotated key is noticed after this time at the latest; a warm Lambda asks no oftener unless the key is refused."""

RENEWAL_PAUSE_SECONDS = 60
"""A key that is wrong in the secret too is refused at every try, which must not become a call each."""


class SecretError(PermanentError):
    """The secret is missing, not allowed, or not of the documented form. The message names it, never its value."""


@dataclass
class SecretReader:
    """Reader of JSON secrets {"key": …, "secret": …}.

    now_ns: nanoseconds of any clock that only goes forward
    """

    client: "SecretsManagerClient"
    now_ns: Callable[[], int]
    _cached: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict, repr=False)
    _renewed_ns: dict[str, int] = field(default_factory=dict)

    def read(self, name: str) -> dict[str, str]:
        """Return the secret's fields, at most `KEPT_SECONDS` old."""
        cached = self._cached.get(name)
        if cached is not None and self.now_ns() - cached[0] < KEPT_SECONDS * 10**9:
            return cached[1]
        return self._fetched(name)

    def renew(self, name: str) -> None:
        """Fetch the secret again, because the key in it was refused; not twice within `RENEWAL_PAUSE_SECONDS`."""
        renewed_ns = self._renewed_ns.get(name)
        if renewed_ns is None or self.now_ns() - renewed_ns >= RENEWAL_PAUSE_SECONDS * 10**9:
            self._renewed_ns[name] = self.now_ns()
            self._fetched(name)

    def _fetched(self, name: str) -> dict[str, str]:
        fields = self._fetch(name)
        self._cached[name] = (self.now_ns(), fields)
        return fields

    def _fetch(self, name: str) -> dict[str, str]:
        try:
            with passing_as_retryable("Secrets Manager"):
                text = self.client.get_secret_value(SecretId=name).get("SecretString", "")
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException"):
                raise SecretError(
                    f"the secret {name} can't be read ({code}): store the API key in it and allow this role to read it"
                ) from None
            raise
        try:
            fields = json.loads(text)
        except ValueError:
            fields = None
        # from None, because the text of a JSON error holds the document
        if not isinstance(fields, dict) or not isinstance(fields.get("key"), str):
            raise SecretError(f'the secret {name} is not of the form {{"key": "…", "secret": "…"}}: store it again')
        return {name: str(value) for name, value in fields.items()}
