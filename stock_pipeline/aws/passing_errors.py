"""Errors of AWS that pass by themselves, and refusals. How often to try again is said by each caller.

The status class decides, because services add codes: a 5xx, a 429, no answer at all. Throttling alone is told by its
code, because most services send it as a 400.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from stock_pipeline.errors import RetryableError

_THROTTLING = re.compile(
    r"Throttl|ThroughputExceeded|LimitExceeded|TooManyRequests|SlowDown|RequestTimeout|TransactionInProgress"
)
_REFUSALS = re.compile(
    r"Denied|Unauthorized|NotAuthorized|Expired|InvalidToken|InvalidClientToken|UnrecognizedClient|Signature|AccessKey"
    r"|KMS|ResourceNotFound|NoSuchBucket|NonExistentQueue|QueueDoesNotExist"
)


def passing_code(error: Exception) -> str | None:
    """Return the error's code if it may be gone at the next try, else None."""
    if isinstance(error, (ConnectionError, HTTPClientError)):
        return type(error).__name__
    if not isinstance(error, ClientError):
        return None
    code = error.response.get("Error", {}).get("Code") or "Unknown"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # A bare 500 has no body, and botocore makes the status its code.
    if re.fullmatch("[0-9]{3}", code):
        status = int(code)
    return code if status >= 500 or status == 429 or _THROTTLING.search(code) else None


def is_refusal(error: Exception) -> bool:
    """Tell if the service refuses us, whatever the call: no access, no key, no such bucket, queue or table."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)):
        return True
    if not isinstance(error, ClientError) or passing_code(error):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status in (401, 403) or bool(_REFUSALS.search(error.response.get("Error", {}).get("Code") or ""))


@contextmanager
def passing_as_retryable(what: str) -> Iterator[None]:
    """Raise `RetryableError` in place of a passing error. what: begins its sentence."""
    try:
        yield
    except Exception as error:
        code = passing_code(error)
        if code is None:
            raise
        raise RetryableError(f"{what} is away for now ({code}); try again") from error
