"""What sessions raise in a loop over them: the loop goes on, and fails at its end with all names.

What fails for every session alike, such as lost credentials, ends the loop at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from stock_pipeline.errors import PermanentError, RetryableError

_REASONS = 20
"""Most sessions whose reason a message has. It has all names."""

_OF_ALL = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "NoSuchBucket",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes of AWS that do not depend on what was asked for."""

_OF_ONE = (ConnectionClosedError, IncompleteReadError, ParamValidationError, ReadTimeoutError, ResponseStreamingError)
"""Errors of botocore's own that one object can cause. Others are lost credentials, and no way to the service."""


_OF_SESSIONS = "failures_of_sessions"
"""Attribute of a loop's error, so that a loop around it tells the sessions and not the loop."""


class SessionFailures:
    """Sessions that failed, each with what it raised."""

    def __init__(self) -> None:
        self._raised: dict[str, Exception] = {}

    @contextmanager
    def of(self, session: date | str) -> Iterator[None]:
        """Keep what the block raises. What concerns every session passes.

        session: or another name of what the block works on.
        """
        try:
            yield
        except Exception as error:
            if _concerns_all(error):
                raise
            self._raised |= getattr(error, _OF_SESSIONS, {str(session): error})

    @property
    def kinds(self) -> dict[str, str]:
        """Return the kind of each failure, which stays the same from try to try."""
        return {session: _kind(error) for session, error in self._raised.items()}

    def __str__(self) -> str:
        names = sorted(self._raised)
        reasons = [f"{name}: {_reason(self._raised[name])}" for name in names[:_REASONS]]
        return "; ".join([*reasons, *names[_REASONS:]])

    def raise_all(self) -> None:
        """Raise one error with all names, if there are any: of their common kind, or else a `RetryableError`."""
        if not self._raised:
            return
        errors = list(self._raised.values())
        common = (
            kind
            for kind in type(errors[0]).__mro__
            if issubclass(kind, PermanentError | RetryableError) and all(isinstance(error, kind) for error in errors)
        )
        error = next(common, RetryableError)(f"{len(errors):,} failed, and all others were done: {self}")
        setattr(error, _OF_SESSIONS, self._raised)
        raise error from errors[0]


def _concerns_all(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") in _OF_ALL
    return isinstance(error, BotoCoreError) and not isinstance(error, _OF_ONE)


def _kind(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code"))
    return type(error).__name__


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, PermanentError | RetryableError) else f"{_kind(error)}: {text}"
