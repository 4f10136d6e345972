"""Retries, budgets and errors of calls, against a real server on loopback, in a fake clock's time."""

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.providers.client.api_client import ATTEMPTS, BACK_OFF, ApiClient, told_wait_ns
from stock_pipeline.providers.client.http import (
    CredentialsRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitedError,
    RequestRefusedError,
    ReusedConnection,
    UnexpectedAnswerError,
)
from stock_pipeline.providers.client.token_bucket import NoTimeLeftError, TokenBucket
from tests.support.clock import SECOND, START_NS, Clock
from tests.support.provider_fakes import (
    KEY,
    SECRET,
    Answer,
    RecordingObserver,
    ScriptedServer,
    credentials,
    recorded,
    scripted_server,
)

MINUTE_LATER = START_NS + 60 * SECOND


class Harness:
    def __init__(self, server: ScriptedServer, capacity: int = 100, timeout_seconds: float = 5) -> None:
        self.server = server
        self.clock = Clock()
        self.observer = RecordingObserver()
        self.bucket = TokenBucket(capacity, 60, self.clock.now_ns, self.clock.wait)
        # Sockets live in real time, everything else on the fake clock.
        offset = time.time_ns() - START_NS
        self.http = ReusedConnection(server.url, lambda: time.time_ns() - offset, timeout_seconds)
        self.client = ApiClient(
            "alpaca",
            self.http,
            credentials(),
            {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET},
            self.bucket,
            now_ns=self.clock.now_ns,
            wait=self.clock.wait,
            jitter=random.Random(1),
            observer=self.observer,
        )

    def get(self, deadline_ns: int = MINUTE_LATER) -> object:
        return self.client.get("/v2/stocks/trades", deadline_ns, read)


def read(body: bytes) -> object:
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnexpectedAnswerError("no JSON object") from None
    if "trades" not in answer:
        raise UnexpectedAnswerError("no trades")
    return answer["trades"]


GOOD = Answer(b'{"trades": "fine"}')


@contextmanager
def running(capacity: int = 100, timeout_seconds: float = 5) -> Iterator[Harness]:
    with scripted_server() as server:
        harness = Harness(server, capacity, timeout_seconds)
        yield harness
        harness.http.close()


@pytest.fixture
def harness() -> Iterator[Harness]:
    with running() as harness:
        yield harness


def test_the_key_goes_out_in_headers_and_never_in_the_url(harness: Harness) -> None:
    harness.server.play(GOOD)
    assert harness.get() == "fine"
    seen = harness.server.seen[0]
    assert (seen.headers["apca-api-key-id"], seen.headers["apca-api-secret-key"]) == (KEY, SECRET)
    assert KEY not in seen.path
    assert harness.observer.requests == ["alpaca"]
    assert harness.observer.errors == []


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, b'{"code": 40110000, "message": "request is not authorized"}', "request is not authorized"),
        (403, recorded("errors/alpaca_403_sip"), "does not permit querying recent SIP data"),
        (401, b"", "401"),
        (403, b"<html><h1>Forbidden</h1></html>", "<html><h1>Forbidden</h1></html>"),
    ],
)
def test_a_refused_key_is_one_error_that_names_what_to_check(
    harness: Harness, status: int, body: bytes, says: str
) -> None:
    harness.server.play(Answer(body, status), GOOD)
    with pytest.raises(CredentialsRefusedError) as error:
        harness.get()
    assert isinstance(error.value, PermanentError)
    assert says in str(error.value)
    assert "secret stock-pipeline/dev/alpaca" in str(error.value)
    assert len(harness.server.seen) == 1
    assert harness.observer.errors == ["credentials"]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_request_is_not_repeated(harness: Harness, status: int) -> None:
    harness.server.play(Answer(recorded("errors/alpaca_400_invalid_symbol"), status), GOOD)
    with pytest.raises(RequestRefusedError, match=rf"alpaca answered {status} \(invalid symbol: !!\)"):
        harness.get()
    assert len(harness.server.seen) == 1
    assert harness.observer.errors == ["refused"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(recorded("errors/alpaca_429"), 429), "rate_limited"),
        (Answer(b"too many requests", 429, {"Content-Type": "text/plain"}), "rate_limited"),
        (Answer(b"", 500), "unavailable"),
        (Answer(b"<html>Bad Gateway</html>", 502), "unavailable"),
        (Answer(b"{}", 503), "unavailable"),
        (Answer(b"", 408), "unavailable"),
        (Answer(b"", 425), "unavailable"),
        (Answer(b"", 599), "unavailable"),
        (Answer(b"", 206), "unavailable"),
        (Answer(b"<!DOCTYPE html><html>log in</html>", 200), "unexpected_answer"),
        (Answer(b'{"trades": {"AAPL": [{"t": "2021-', 200), "unexpected_answer"),
        (Answer(b'{"trades": "cut"}', 200, trouble="cut"), "unexpected_answer"),
        (Answer(b"\xff\xfe", 200), "unexpected_answer"),
        (Answer(b"null", 200), "unexpected_answer"),
        (Answer(b"", 200), "unexpected_answer"),
        (Answer(trouble="reset"), "unavailable"),
        (Answer(recorded("errors/twelvedata_429_in_http200_or_429"), 200), "rate_limited"),
        (Answer(recorded("errors/finnhub_429"), 200), "rate_limited"),
        (Answer(b'{"code": 50010000, "message": "internal"}', 200), "unavailable"),
    ],
)
def test_a_passing_trouble_is_survived_and_counted(harness: Harness, answer: Answer, kind: str) -> None:
    harness.server.play(answer, GOOD)
    assert harness.get() == "fine"
    assert harness.observer.errors == [kind]
    assert len(harness.observer.requests) == 2


@pytest.mark.parametrize(
    "body", [recorded("errors/finnhub_401"), recorded("errors/finnhub_403"), b'{"code":40110000,"message":"no"}']
)
def test_a_refused_key_under_status_200_is_permanent(harness: Harness, body: bytes) -> None:
    harness.server.play(Answer(body), GOOD)
    with pytest.raises(CredentialsRefusedError):
        harness.get()
    assert len(harness.server.seen) == 1


def test_a_time_out_is_retried_until_it_helps() -> None:
    with running(timeout_seconds=0.1) as harness:
        harness.server.play(Answer(trouble="stall"), GOOD)
        assert harness.get() == "fine"
        assert harness.observer.errors == ["timeout"]


def test_back_off_grows_with_full_jitter_and_ends(harness: Harness) -> None:
    harness.server.play(*[Answer(b"", 500)] * 20)
    with pytest.raises(ProviderUnavailableError):
        harness.get(START_NS + 3600 * SECOND)
    assert len(harness.server.seen) == ATTEMPTS
    assert all(wait <= ceiling for wait, ceiling in zip(harness.clock.waits, [0.5, 1, 2, 4, 8], strict=True))
    other = random.Random(1)
    assert harness.clock.waits == [BACK_OFF.seconds(n, other.random) for n in range(1, 6)]


def test_back_off_never_exceeds_its_longest_wait() -> None:
    jitter = random.Random(7)
    waits = [BACK_OFF.seconds(10_000, jitter.random) for _ in range(1000)]
    assert 29 < max(waits) <= 30
    assert min(waits) < 1


@pytest.mark.parametrize("header", ["7", "Thu, 01 Jan 2026 15:00:07 GMT"])
def test_retry_after_is_kept_to_by_every_user_of_the_key(harness: Harness, header: str) -> None:
    harness.server.play(Answer(b"too many requests", 429, {"Retry-After": header}), GOOD)
    assert harness.get() == "fine"
    assert START_NS + 7 * SECOND <= harness.clock.ns < START_NS + 8 * SECOND
    assert len(harness.observer.waits) == 1


def test_a_retry_after_beyond_the_deadline_ends_with_its_reason(harness: Harness) -> None:
    harness.server.play(Answer(b"", 429, {"Retry-After": "120"}), GOOD)
    with pytest.raises(RateLimitedError):
        harness.get()
    with pytest.raises(NoTimeLeftError):
        harness.get()
    assert len(harness.server.seen) == 1
    assert harness.clock.ns < MINUTE_LATER


def test_a_retry_that_would_miss_the_deadline_is_not_made(harness: Harness) -> None:
    harness.server.play(Answer(b"", 503), GOOD)
    harness.clock.ns = MINUTE_LATER - 1_000_000
    with pytest.raises((ProviderUnavailableError, ProviderTimeoutError)):
        harness.get()
    assert harness.clock.ns < MINUTE_LATER


def test_a_call_waits_for_the_budget_and_says_so() -> None:
    with running(capacity=1) as harness:
        harness.server.play(GOOD, GOOD)
        harness.get()
        harness.get()
        assert harness.observer.waits == [1.0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 30 "}, 30),
        ({"retry-after": "999999999"}, 300),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 14:00:00 GMT"}, -3600),
        ({"retry-after": "Thu, 99 Jan 2026 14:00:00 GMT"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(START_NS // SECOND + 20)}, 20),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": str(START_NS // SECOND + 20)}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "later"}, None),
        ({}, None),
    ],
)
def test_what_a_provider_asks_to_wait(headers: dict[str, str], seconds: int | None) -> None:
    expected = None if seconds is None else START_NS + seconds * SECOND
    assert told_wait_ns(headers, START_NS) == expected


ECHO = f'{{"message": "bad key {KEY} with {SECRET}", "headers": ["{KEY}"]}}'.encode()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(ECHO, 401),
        Answer(ECHO, 403),
        Answer(ECHO, 422),
        Answer(ECHO, 429),
        Answer(ECHO, 500),
        Answer(ECHO, 200),
        Answer(b"x" * 195 + KEY.encode() + b" and more", 500),
        Answer(b" " * 790 + KEY.encode() + SECRET.encode(), 500),
        Answer(status=302, headers={"Location": f"/again?token={KEY}"}),
        Answer(status=302, headers={"Location": f"https://other.example/?token={SECRET}"}),
        Answer(trouble="reset"),
    ],
)
def test_a_key_sent_back_by_the_server_is_in_no_error_and_no_log(
    harness: Harness, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    harness.server.play(*[answer] * 8)
    with pytest.raises((PermanentError, RetryableError)) as error:
        harness.get()
    chain: BaseException | None = error.value
    while chain is not None:
        text = f"{chain} {chain!r} {chain.args}"
        assert KEY[:8] not in text
        assert SECRET[:8] not in text
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    assert KEY not in caplog.text
    assert SECRET not in caplog.text
    assert KEY not in repr(harness.client.credentials)
