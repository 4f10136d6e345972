"""Calls to a provider's API: within its budget, retried, counted, and without a key in any error.

What an answer means belongs to the provider, which passes a function that reads it.
"""

import random
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

import msgspec

from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import (
    CredentialsRefusedError,
    HttpAnswer,
    HttpClient,
    ProviderPermanentError,
    ProviderRetryableError,
    RateLimitedError,
    RequestRefusedError,
    UnexpectedAnswerError,
    error_of_status,
)
from stock_pipeline.providers.client.token_bucket import NoTimeLeftError, TokenBucket

NANOSECONDS = 10**9
LONGEST_PAUSE_NS = 300 * NANOSECONDS
"""Limit of a provider's pause, because one misread header would silence its key for a day."""

ATTEMPTS = 6
"""Calls in all; the deadline usually ends them first."""

BACK_OFF = BackOff(first_seconds=0.5, longest_seconds=30.0)

_EXCERPT = 200
_LONGEST_TEXT = 2**20
"""Looked through for the key: far above what an excerpt of hidden keys may begin as."""

Read = TypeVar("Read")


class CallObserver(Protocol):
    """Counter of calls to a provider, for metrics, used in the caller's thread."""

    def request(self, provider: str) -> None:
        """Count a request that goes out."""

    def error(self, provider: str, kind: str, said: str) -> None:
        """Count a failed request or connection under the error's `kind`, and keep what it said for the log."""

    def rate_limit_wait(self, provider: str, seconds: float) -> None:
        """Note that a request waited for the key's budget or for a `Retry-After`."""


class ApiClient:
    """API of one provider under one key."""

    def __init__(
        self,
        provider: str,
        http: HttpClient,
        credentials: Credentials,
        key_headers: Mapping[str, str],
        bucket: TokenBucket,
        *,
        now_ns: Callable[[], int],
        wait: Callable[[float], None],
        jitter: random.Random,
        observer: CallObserver,
    ) -> None:
        """Prepare a client; nothing is sent.

        key_headers: carry the key, which never goes into a URL
        now_ns: nanoseconds since 1970 UTC
        wait: sleeps for seconds
        """
        self.provider = provider
        self.credentials = credentials
        self._http = http
        self._key_headers = dict(key_headers)
        self._bucket = bucket
        self._now_ns = now_ns
        self._wait = wait
        self._jitter = jitter
        self._observer = observer

    def get(self, target: str, deadline_ns: int, read: Callable[[bytes], Read]) -> Read:
        """Return what `read` makes of the body of `target` (path and query), trying again until `deadline_ns`.

        read: raises `UnexpectedAnswerError` for a body that is not an answer

        Raises `NoTimeLeftError` if nothing could be sent in time, the last `ProviderRetryableError` if retrying did not
        help, and at once `CredentialsRefusedError` or `RequestRefusedError`.
        """
        last_error: ProviderRetryableError | None = None
        for failures in range(1, ATTEMPTS + 1):
            try:
                self._take_token(deadline_ns)
            except NoTimeLeftError:
                if last_error is not None:
                    raise last_error from None
                raise
            try:
                return self._attempt(target, deadline_ns, read)
            except ProviderPermanentError as error:
                self._observer.error(self.provider, error.kind, str(error))
                raise
            except ProviderRetryableError as error:
                self._observer.error(self.provider, error.kind, str(error))
                last_error = error
                if not self._waited_to_retry(failures, deadline_ns):
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _take_token(self, deadline_ns: int) -> None:
        waited = self._bucket.acquire(deadline_ns)
        if waited > 0:
            self._observer.rate_limit_wait(self.provider, waited)

    def _attempt(self, target: str, deadline_ns: int, read: Callable[[bytes], Read]) -> Read:
        self._observer.request(self.provider)
        answer = self._http.get(target, self._key_headers, deadline_ns)
        if answer.status != 200:
            raise self._refusal(answer.status, answer)
        try:
            return read(answer.body)
        except UnexpectedAnswerError as error:
            status = status_in_body(answer.body, self.credentials)
            if status is not None:
                raise self._refusal(status, answer) from None
            raise UnexpectedAnswerError(self._describe(str(error), answer)) from None

    def _refusal(self, status: int, answer: HttpAnswer) -> ProviderPermanentError | ProviderRetryableError:
        said = self._describe(str(status), answer)
        error = error_of_status(status)
        if issubclass(error, ProviderRetryableError):
            self._pause(answer)
        if error is CredentialsRefusedError:
            said += f": check the key in {self.credentials.source} and what its plan allows"
        elif error is RateLimitedError:
            said += f": too many calls with the key in {self.credentials.source}"
        elif error is RequestRefusedError:
            said += ": check the symbols and parameters"
        return error(said)

    def _describe(self, what: str, answer: HttpAnswer) -> str:
        said = message_in_body(answer.body, self.credentials)
        return f"{self.provider} answered {what} ({said})"

    def _pause(self, answer: HttpAnswer) -> None:
        until_ns = told_wait_ns(answer.headers, self._now_ns())
        if until_ns is not None:
            self._bucket.pause_until(until_ns)

    def _waited_to_retry(self, failures: int, deadline_ns: int) -> bool:
        if failures >= ATTEMPTS:
            return False
        seconds = BACK_OFF.seconds(failures, self._jitter.random)
        if self._now_ns() + int(seconds * NANOSECONDS) >= deadline_ns:
            return False
        self._wait(seconds)
        return True


def told_wait_ns(headers: Mapping[str, str], now_ns: int) -> int | None:
    """Return until when the provider asks to wait (nanoseconds since 1970 UTC), at most five minutes; else None.

    Read are `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3); else Alpaca's `X-RateLimit-Reset`, in
    seconds since 1970 (its OpenAPI description), once `X-RateLimit-Remaining` is 0.
    """
    until_ns: int | None = None
    retry_after = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        until_ns = now_ns + int(retry_after) * NANOSECONDS
    elif retry_after:
        try:
            until_ns = int(parsedate_to_datetime(retry_after).timestamp()) * NANOSECONDS
        except (ValueError, OverflowError):
            until_ns = None
    elif headers.get("x-ratelimit-remaining") == "0":
        reset = headers.get("x-ratelimit-reset", "")
        until_ns = int(reset) * NANOSECONDS if re.fullmatch(r"[0-9]{1,11}", reset) else None
    return None if until_ns is None else min(until_ns, now_ns + LONGEST_PAUSE_NS)


def message_in_body(body: bytes, credentials: Credentials) -> str:
    """Return an error body's `message`, `error` or `msg`, or its text, on one line of at most 200 characters.

    The key is taken out before the cut, because servers may send it back and half a key is still one.
    """
    try:
        envelope = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        envelope = None
    text: object = None
    if isinstance(envelope, dict):
        text = next((envelope[name] for name in ("message", "error", "msg") if name in envelope), None)
    if not isinstance(text, str):
        text = body.decode("utf-8", "replace")
    line = credentials.redact(" ".join(text[:_LONGEST_TEXT].split()))
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"


def status_in_body(body: bytes, credentials: Credentials) -> int | None:
    """Return the status meant by an error that was sent under HTTP 200, or None for another body.

    `code` is a status, or begins with one (Alpaca: 40110000 is a 401); Finnhub only has words.
    """
    try:
        envelope = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(envelope, dict) or not envelope.keys() & {"message", "error", "msg", "code"}:
        return None
    code = envelope.get("code")
    if isinstance(code, int) and re.fullmatch(r"[45][0-9]{2}([0-9]{5})?", str(code)):
        return int(str(code)[:3])
    words = message_in_body(body, credentials).lower()
    if "limit" in words or "too many" in words:
        return 429
    if "api key" in words or "access" in words or "not authorized" in words:
        return 401
    return None
