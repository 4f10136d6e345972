"""One HTTP GET: connection, time limit, answer, and what can go wrong with it.

Keys, budgets, retries and JSON belong to `credentials`, `token_bucket` and `api_client`.
"""

import http.client
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from stock_pipeline.errors import PermanentError, RetryableError

NANOSECONDS = 10**9
MAX_REDIRECTS = 3
MAX_BODY_BYTES = 64 * 1024 * 1024
"""Far above any page of 10,000 trades, which has about 1.5 MB."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES = 65_536


class ProviderPermanentError(PermanentError):
    """A provider refused, and will refuse again. `kind` names the error in counts."""

    kind: str = "refused"


class ProviderRetryableError(RetryableError):
    """A provider could not answer now. `kind` names the error in counts."""

    kind: str = "unavailable"


class CredentialsRefusedError(ProviderPermanentError):
    """The provider does not take the key, or the key's plan lacks what was asked for."""

    kind = "credentials"


class RequestRefusedError(ProviderPermanentError):
    """The provider does not take the request: an unknown symbol, a bad parameter, a wrong address."""

    kind = "refused"


class RateLimitedError(ProviderRetryableError):
    """More calls than the provider allows."""

    kind = "rate_limited"


class ProviderUnavailableError(ProviderRetryableError):
    """The provider broke off: a 5xx, a refused or reset connection."""

    kind = "unavailable"


class ProviderTimeoutError(ProviderRetryableError):
    """The provider did not answer in time."""

    kind = "timeout"


class UnexpectedAnswerError(ProviderRetryableError):
    """The answer is not of the API: HTML of a proxy, JSON that breaks off, an error under status 200."""

    kind = "unexpected_answer"


def error_of_status(status: int) -> type[ProviderPermanentError] | type[ProviderRetryableError]:
    """Return what a status other than 200 is. Its class decides; few have a meaning of their own."""
    if status in (401, 403):
        return CredentialsRefusedError
    if status == 429:
        return RateLimitedError
    if 300 <= status < 500 and status not in (408, 425):
        return RequestRefusedError
    return ProviderUnavailableError


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Answer: status, headers (names in lower case) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Protocol):
    """Sender of GETs to one origin."""

    def get(self, target: str, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        """Return the answer to `target` (path and query), whatever its status.

        Raises `ProviderTimeoutError`, `ProviderUnavailableError`, `UnexpectedAnswerError` or `RequestRefusedError`,
        without a header.
        """
        ...


class ReusedConnection:
    """`HttpClient` with one kept-alive connection; threads take turns.

    Redirects stay within its origin, because another one would be sent the key. Plain `http` is for loopback. Proxies
    of the environment are ignored.
    """

    def __init__(
        self,
        base_url: str,
        now_ns: Callable[[], int],
        timeout_seconds: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Check the base URL.

        timeout_seconds: bounds one whole exchange, connecting included
        """
        self._origin = _checked_origin(base_url)
        self._now_ns = now_ns
        self._timeout_ns = int(timeout_seconds * NANOSECONDS)
        self._tls = tls
        self._lock = Lock()
        self._connection: http.client.HTTPConnection | None = None

    def get(self, target: str, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        limit_ns = min(deadline_ns, self._now_ns() + self._timeout_ns)
        with self._lock:
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._exchange_once_more(target, headers, limit_ns)
                if answer.status not in _REDIRECTS:
                    return answer
                target = self._redirected(target, answer)
        raise RequestRefusedError(f"{self._origin.hostname} redirects in circles: check the base URL")

    def close(self) -> None:
        """Drop the connection; the next `get` opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange_once_more(self, target: str, headers: Mapping[str, str], limit_ns: int) -> HttpAnswer:
        reused = self._connection is not None
        try:
            return self._guarded_exchange(target, headers, limit_ns)
        except ProviderUnavailableError:
            if not reused:
                raise
            # A server may close a kept-alive connection at any time, and a GET can be sent again.
            return self._guarded_exchange(target, headers, limit_ns)

    def _guarded_exchange(self, target: str, headers: Mapping[str, str], limit_ns: int) -> HttpAnswer:
        host = self._origin.hostname
        try:
            answer = self._exchange(target, headers, limit_ns)
        except TimeoutError:
            self.close()
            raise ProviderTimeoutError(f"{host} did not answer in time") from None
        except http.client.IncompleteRead:
            self.close()
            raise UnexpectedAnswerError(f"{host} broke off in the middle of its answer") from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ProviderUnavailableError(f"no answer from {host} ({type(error).__name__})") from None
        except ProviderRetryableError:
            self.close()
            raise
        return answer

    def _exchange(self, target: str, headers: Mapping[str, str], limit_ns: int) -> HttpAnswer:
        connection = self._connection or self._connect(limit_ns)
        self._connection = connection
        self._limit(connection, limit_ns)
        connection.request("GET", target, headers={"Accept": "application/json", **headers})
        response = connection.getresponse()
        body = self._read(connection, response, limit_ns)
        if response.will_close:
            self.close()
        return HttpAnswer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def _read(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, limit_ns: int) -> bytes:
        body = bytearray()
        while True:
            # The limit is for the whole answer, because a server may send a byte a second.
            self._limit(connection, limit_ns)
            chunk = response.read1(_CHUNK_BYTES)
            if not chunk:
                break
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise UnexpectedAnswerError(f"{self._origin.hostname} sent more than {MAX_BODY_BYTES} bytes")
        if response.length:
            # read1 takes the end of the connection for the end of the body.
            raise http.client.IncompleteRead(bytes(body), response.length)
        # Frees the connection for the next request: read1 leaves a response of known length open.
        response.close()
        return bytes(body)

    def _connect(self, limit_ns: int) -> http.client.HTTPConnection:
        host, port = self._origin.hostname or "", self._origin.port
        if self._origin.scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=self._left(limit_ns))
        else:
            tls = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=self._left(limit_ns), context=tls)
        connection.connect()
        return connection

    def _limit(self, connection: http.client.HTTPConnection, limit_ns: int) -> None:
        # None once a server that answers `Connection: close` has sent everything.
        if connection.sock is not None:
            connection.sock.settimeout(self._left(limit_ns))

    def _left(self, limit_ns: int) -> float:
        left_ns = limit_ns - self._now_ns()
        if left_ns <= 0:
            raise TimeoutError
        return left_ns / NANOSECONDS

    def _redirected(self, target: str, answer: HttpAnswer) -> str:
        origin = self._origin
        place = urlsplit(urljoin(f"{origin.scheme}://{origin.netloc}{target}", answer.headers.get("location", "")))
        if (place.scheme, place.netloc) != (origin.scheme, origin.netloc):
            raise RequestRefusedError(
                f"{origin.hostname} redirects to another server, which must not see the key: check the base URL"
            )
        return place.path + (f"?{place.query}" if place.query else "")


def _checked_origin(base_url: str) -> SplitResult:
    origin = urlsplit(base_url)
    if origin.scheme not in ("http", "https") or not origin.hostname or origin.path.strip("/") or origin.query:
        raise RequestRefusedError("the base URL takes the form https://host, without path or query")
    if origin.scheme == "http" and origin.hostname not in LOOPBACK_HOSTS:
        raise RequestRefusedError(f"http://{origin.hostname} would send the key in the clear: use https")
    return origin
