"""What the providers' tests share: an observer, and a loopback HTTP server that plays a script."""

import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stock_pipeline.providers.alpaca.rest import AlpacaProvider, alpaca_client
from stock_pipeline.providers.client.api_client import ApiClient
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.providers.client.http import HttpClient
from stock_pipeline.providers.client.token_bucket import TokenBucket
from tests.support.clock import SECOND, Clock

KEY = "PKTESTKEY0123456789"
SECRET = "s3cr3t/With+Signs=="

DATA = Path(__file__).parents[1] / "data" / "api"


def recorded(name: str) -> bytes:
    return (DATA / f"{name}.json").read_bytes()


def credentials() -> Credentials:
    return Credentials("secret stock-pipeline/dev/alpaca", KEY, SECRET)


def query_of(target: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}


@dataclass
class RecordingObserver:
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def request(self, provider: str) -> None:
        self.requests.append(provider)

    def error(self, provider: str, kind: str, said: str) -> None:
        self.errors.append(kind)
        self.said.append(said)

    def rate_limit_wait(self, provider: str, seconds: float) -> None:
        self.waits.append(seconds)

    def gap_closed(self, provider: str, start_ns: int, end_ns: int) -> None:
        self.gaps.append((start_ns, end_ns))


def deadline(clock: Clock) -> int:
    return clock.ns + 50 * SECOND


def client_over(make: Callable[..., ApiClient], http: HttpClient, clock: Clock, **options: Any) -> ApiClient:
    """A provider's client over this connection, on the tests' clock."""
    return make(
        credentials(),
        now_ns=clock.now_ns,
        wait=clock.wait,
        jitter=random.Random(1),
        observer=RecordingObserver(),
        http=http,
        **options,
    )


def unhurried(clock: Clock) -> TokenBucket:
    """A budget that no test comes to the end of."""
    return TokenBucket(1000, 1000, clock.now_ns, clock.wait)


def alpaca_api(http: HttpClient, clock: Clock) -> ApiClient:
    return client_over(alpaca_client, http, clock, bucket=unhurried(clock))


def alpaca_over(http: HttpClient, clock: Clock, symbols: Sequence[str] = ("AAPL",), **options: Any) -> AlpacaProvider:
    return AlpacaProvider(alpaca_api(http, clock), symbols, clock.now_ns, **options)


@dataclass(frozen=True)
class Answer:
    """One scripted answer. `trouble`: reset, stall (no answer at all), cut (the body breaks off), drip."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict[str, str]
    connection: int


class ScriptedServer(ThreadingHTTPServer):
    """Plays its answers in order; what is asked beyond them is answered with 599."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: deque[Answer] = deque()
        self.seen: list[Seen] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def play(self, *answers: Answer) -> None:
        self.script.extend(answers)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Seen(self.path, headers, self.client_address[1]))
        answer = self.server.script.popleft() if self.server.script else Answer(status=599)
        if answer.trouble == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
            return
        if answer.trouble == "stall":
            self.server.released.wait(30)
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if answer.trouble == "cut":
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.close_connection = True
        elif answer.trouble == "drip":
            while not self.server.released.wait(0.02):
                self.wfile.write(b" ")
        else:
            self.wfile.write(answer.body)
        if answer.headers.get("Connection") == "close":
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
