"""An HTTP proxy before the emulated services: it stops a chosen request on its way, so that a test knows exactly where
another process is, and who it is."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import psutil

PATIENCE_SECONDS = 900
_NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Stop:
    """The first request with this method and end of path. pid: of the process that sent it."""

    method: str
    path_end: str
    pid: int = 0
    _arrived: threading.Event = field(default_factory=threading.Event)
    _decided: threading.Event = field(default_factory=threading.Event)
    _dropped: bool = False

    def wait(self) -> int:
        """Return who sent it, once it has arrived."""
        assert self._arrived.wait(PATIENCE_SECONDS), f"no {self.method} …{self.path_end} has come"
        return self.pid

    def pass_on(self) -> None:
        self._decided.set()

    def drop(self) -> None:
        self._dropped = True
        self._decided.set()

    def arrive(self, pid: int) -> bool:
        """Hold the request, and return whether it is to be passed on."""
        self.pid = pid
        self._arrived.set()
        assert self._decided.wait(PATIENCE_SECONDS), f"nobody decides about {self.method} …{self.path_end}"
        return not self._dropped


@dataclass
class HoldingProxy:
    address: str
    stops: list[Stop] = field(default_factory=list)

    def stop(self, method: str, path_end: str) -> Stop:
        self.stops.append(Stop(method, path_end))
        return self.stops[-1]

    def taken(self, method: str, path: str) -> Stop | None:
        for stop in self.stops:
            if stop.method == method and unquote(urlsplit(path).path).endswith(stop.path_end):
                self.stops.remove(stop)
                return stop
        return None


@contextmanager
def holding_proxy(endpoint: str) -> Iterator[HoldingProxy]:
    target = urlsplit(endpoint)
    proxy = HoldingProxy("")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self._body()
            with lock:
                stop = proxy.taken(self.command, self.path)
            if stop is not None and not stop.arrive(_sender(self.client_address[1], server.server_port)):
                self.close_connection = True
                return
            connection = http.client.HTTPConnection(target.hostname or "", target.port)
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in {*_NOT_PASSED_ON, "expect"}}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _NOT_PASSED_ON:
                        self.send_header(name, value)
                is_head = self.command == "HEAD"
                length = answer.getheader("content-length") if is_head else str(len(content))
                self.send_header("content-length", length or "0")
                self.end_headers()
                self.wfile.write(content)
            finally:
                connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailers
            return body

        def log_message(self, format: str, *args: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed reads no answer."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        proxy.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield proxy
        finally:
            for stop in proxy.stops:
                stop.pass_on()
            server.shutdown()
            thread.join()


def _sender(port: int, proxy_port: int) -> int:
    for connection in psutil.net_connections("tcp"):
        if connection.laddr.port == port and connection.raddr and connection.raddr.port == proxy_port:
            return connection.pid or 0
    return 0
