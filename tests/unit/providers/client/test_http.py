"""One GET against a real server on loopback that misbehaves as servers do."""

import socket
import time
from collections.abc import Iterator

import pytest

from stock_pipeline.providers.client.http import (
    HttpAnswer,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RequestRefusedError,
    ReusedConnection,
    UnexpectedAnswerError,
)
from tests.support.clock import SECOND
from tests.support.provider_fakes import Answer, ScriptedServer, scripted_server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def connection(server: ScriptedServer) -> Iterator[ReusedConnection]:
    connection = ReusedConnection(server.url, time.time_ns, timeout_seconds=5)
    yield connection
    connection.close()


def get(connection: ReusedConnection, target: str = "/x", seconds: float = 5) -> HttpAnswer:
    return connection.get(target, {"X-Key": "value"}, time.time_ns() + int(seconds * SECOND))


def test_an_answer_has_status_headers_and_the_whole_body(server: ScriptedServer, connection: ReusedConnection) -> None:
    body = bytes(range(256)) * 2000
    server.play(Answer(body, 418, {"X-Thing": "1"}))
    answer = get(connection, "/a/b?c=d%2Ce")
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (418, body, "1")
    assert (server.seen[0].path, server.seen[0].headers["x-key"]) == ("/a/b?c=d%2Ce", "value")


def test_requests_share_one_connection(server: ScriptedServer, connection: ReusedConnection) -> None:
    server.play(Answer(b"1"), Answer(b"2", 500), Answer(b""), Answer(b"4"))
    assert [get(connection).body for _ in range(4)] == [b"1", b"2", b"", b"4"]
    assert len({seen.connection for seen in server.seen}) == 1


def test_a_connection_that_the_server_closed_is_replaced(server: ScriptedServer, connection: ReusedConnection) -> None:
    server.play(Answer(b"1"), Answer(trouble="reset"), Answer(b"2"), Answer(b"3", headers={"Connection": "close"}))
    assert [get(connection).body for _ in range(2)] == [b"1", b"2"]
    assert get(connection).body == b"3"
    server.play(Answer(b"4"))
    assert get(connection).body == b"4"


def test_a_reset_on_a_fresh_connection_is_an_error(server: ScriptedServer, connection: ReusedConnection) -> None:
    server.play(Answer(trouble="reset"), Answer(b"fine"))
    with pytest.raises(ProviderUnavailableError, match=r"no answer from 127\.0\.0\.1"):
        get(connection)
    assert get(connection).body == b"fine"


def test_a_server_that_does_not_answer_is_given_up_in_time(
    server: ScriptedServer, connection: ReusedConnection
) -> None:
    server.play(Answer(trouble="stall"), Answer(b"fine"))
    with pytest.raises(ProviderTimeoutError, match="did not answer in time"):
        get(connection, seconds=0.1)
    assert get(connection).body == b"fine"


def test_a_server_that_drips_is_given_up_in_time(server: ScriptedServer, connection: ReusedConnection) -> None:
    server.play(Answer(b"", headers={"Content-Length": "1000000"}, trouble="drip"))
    with pytest.raises(ProviderTimeoutError):
        get(connection, seconds=0.2)


def test_a_deadline_in_the_past_sends_nothing(server: ScriptedServer, connection: ReusedConnection) -> None:
    with pytest.raises(ProviderTimeoutError):
        get(connection, seconds=-1)
    assert server.seen == []


def test_a_body_that_breaks_off_is_noticed(server: ScriptedServer, connection: ReusedConnection) -> None:
    server.play(Answer(b'{"trades": {}}', trouble="cut"), Answer(b"fine"))
    with pytest.raises(UnexpectedAnswerError, match="broke off"):
        get(connection)
    assert get(connection).body == b"fine"


def test_a_refused_connection_is_retryable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        connection = ReusedConnection(f"http://127.0.0.1:{unused.getsockname()[1]}", time.time_ns)
        with pytest.raises(ProviderUnavailableError, match="ConnectionRefusedError"):
            get(connection)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_the_origin_is_followed(
    server: ScriptedServer, connection: ReusedConnection, status: int
) -> None:
    server.play(Answer(status=status, headers={"Location": "/new?a=1"}), Answer(b"there"))
    assert get(connection, "/old").body == b"there"
    assert [seen.path for seen in server.seen] == ["/old", "/new?a=1"]


@pytest.mark.parametrize("place", ["https://evil.example/steal?token=abc", "//evil.example/", "https://127.0.0.1/"])
def test_a_redirect_elsewhere_never_gets_the_key(
    server: ScriptedServer, connection: ReusedConnection, place: str
) -> None:
    server.play(Answer(status=302, headers={"Location": place}))
    with pytest.raises(RequestRefusedError, match="redirects to another server") as error:
        get(connection)
    assert "token" not in str(error.value)
    assert len(server.seen) == 1


def test_a_redirect_loop_ends(server: ScriptedServer, connection: ReusedConnection) -> None:
    server.play(*[Answer(status=302, headers={"Location": "/x"})] * 10)
    with pytest.raises(RequestRefusedError, match="in circles"):
        get(connection)
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    "url", ["http://data.alpaca.markets", "ftp://localhost", "https://", "https://host/path", "https://host?token=1"]
)
def test_a_base_url_that_is_none_or_shows_the_key_is_refused(url: str) -> None:
    with pytest.raises(RequestRefusedError):
        ReusedConnection(url, time.time_ns)
