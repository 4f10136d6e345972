"""`make bench-serve`, its first half: what the page's server carries on one core, as trades followed and as answers.

Trades: raw files of a generated session are read from disk, told from repeats, folded into bars, and the board is
encoded anew, as for each look of the follower. S3 is not timed. Before anything counts, the bars' trades are compared
with those that were generated.

Requests: a client of 32 kept-alive connections asks a server of its own process over loopback, until told to stop.
Seconds are the server's CPU time, so another process on its core changes the delays only.
"""

import argparse
import json
import multiprocessing
import os
import resource
import selectors
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, cast

from bench.generated_session import GeneratedSession
from stock_pipeline.commands.serve import LOOPBACK, listening
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.lake.session_partition import SessionPartition
from stock_pipeline.serving.board import Board
from stock_pipeline.serving.events import Events
from stock_pipeline.serving.follower import Follower

RESULTS = Path(__file__).parent / "results" / "serving.json"

ROWS_A_FILE = 9_000
FILES_OF_HALF_A_SECOND = 11
"""What comes from one look to the next at 200,000 trades a second."""

CONNECTIONS = 32
WARM_SECONDS = 1.0

Paths = dict[str, str]


class Followed(NamedTuple):
    """peak_mb: of the whole process, with its libraries."""

    symbols: int
    rows: int
    files_a_look: int
    cpu_seconds: float
    rows_a_second: int
    peak_mb: int


class Answered(NamedTuple):
    """p50_ms, p99_ms: as the client saw them, on a machine that may be busy."""

    symbols: int
    path: str
    bytes: int
    requests_a_cpu_second: int
    requests_a_second: int
    p50_ms: float
    p99_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="trades of the session (default: 1,000,000)")
    parser.add_argument("--symbols", type=int, nargs="+", default=[500, 5_000], help="how many symbols it has")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds for each address (default: 5)")
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"default: {RESULTS}")
    options = parser.parse_args()
    if os.environ.get("POLARS_MAX_THREADS") != "1":
        sys.exit("POLARS_MAX_THREADS=1 is missing, so this would not measure one core")
    followed: list[Followed] = []
    answered: list[Answered] = []
    for symbols in options.symbols:
        session = GeneratedSession(rows=options.rows, files=max(1, options.rows // ROWS_A_FILE), symbols=symbols)
        with tempfile.TemporaryDirectory() as folder:
            session.write(Path(folder))
            for files_a_look in (1, FILES_OF_HALF_A_SECOND, 64):
                followed.append(_in_a_process(_follow, session, Path(folder), files_a_look))
                print(followed[-1], flush=True)
            for path in ("/api/v1/latest/AAA", "/api/v1/latest", "/api/v1/bars/AAA"):
                answered.append(_measure_answers(session, Path(folder), path, options.seconds))
                print(answered[-1], flush=True)
    figures = {
        "followed": [each._asdict() for each in followed],
        "answered": [each._asdict() for each in answered],
    }
    options.output.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


class FolderZone:
    """A raw zone in a folder, of which each look finds some files more."""

    def __init__(self, folder: Path, files_a_look: int) -> None:
        self._paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.parquet"))}
        self._files_a_look, self.shown = files_a_look, 0
        self._modified = datetime.now(UTC)

    @property
    def has_more(self) -> bool:
        return self.shown < len(self._paths)

    def show_more(self) -> None:
        self.shown += self._files_a_look

    def list(self, prefix: str, start_after: str = "") -> Iterator[ListedObject]:
        for key in list(self._paths)[: self.shown]:
            if key.startswith(prefix) and key > start_after:
                yield ListedObject(key, 1, key, self._modified)

    def folders(self, prefix: str, depth: int) -> Iterator[str]:
        assert depth == 1
        names = {key.removeprefix(prefix).partition("/")[0] for key in self._paths if key.startswith(prefix)}
        yield from (f"{prefix}{name}/" for name in sorted(names))

    def get_if_there(self, key: str) -> bytes | None:
        return self._paths[key].read_bytes()

    def download(self, key: str, path: Path, etag: str | None = None) -> None:
        raise NotImplementedError("nothing is published here")


class NothingPublished:
    def published(self) -> None:
        return None


def _follower(session: GeneratedSession, zone: FolderZone) -> Follower:
    now = datetime.combine(session.session_date, datetime.min.time(), UTC) + timedelta(hours=23)
    return Follower(zone, lambda _day: cast(SessionPartition, NothingPublished()), lambda: now)


def _follow(result: Connection, session: GeneratedSession, folder: Path, files_a_look: int) -> None:
    zone = FolderZone(folder, files_a_look)
    follower, board = _follower(session, zone), Board()
    began = time.process_time()
    while zone.has_more:
        zone.show_more()
        found = follower.look()
        board.update(follower.session, found.changed)
        board.body()
    seconds = time.process_time() - began
    assert follower.session is not None
    bars = [follower.session.day_bar(key) for key in follower.session.series]
    counted = sum(bar.trade_count for bar in bars if bar)
    if counted != session.rows or follower.unreadable:
        sys.exit(f"{counted:,} trades are in the bars, {session.rows:,} were generated: no figure counts")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    follower.close()
    result.send(
        Followed(session.symbols, session.delivered, files_a_look, seconds, int(session.delivered / seconds), peak)
    )


def _measure_answers(session: GeneratedSession, folder: Path, path: str, seconds: float) -> Answered:
    listener = listening(LOOPBACK, 0)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(theirs, listener, session, folder))
    server.start()
    try:
        ours.recv()
        address = listener.getsockname()
        size, _, _ = _ask(address, path, WARM_SECONDS)
        before, began = _cpu_seconds(ours), time.monotonic()
        _, count, delays = _ask(address, path, seconds)
        elapsed = time.monotonic() - began
        used = _cpu_seconds(ours) - before
    finally:
        server.terminate()
        server.join()
        listener.close()
    delays.sort()
    return Answered(
        session.symbols,
        path,
        size,
        int(count / used),
        int(count / elapsed),
        round(1_000 * delays[len(delays) // 2], 2),
        round(1_000 * delays[len(delays) * 99 // 100], 2),
    )


def _cpu_seconds(server: Connection) -> float:
    server.send("how much?")
    return float(server.recv())


def _serve(told: Connection, listener: socket.socket, session: GeneratedSession, folder: Path) -> None:
    import asyncio
    import threading

    from stock_pipeline.serving.app import application
    from stock_pipeline.serving.history import History
    from stock_pipeline.serving.price_alerts import PriceAlerts
    from stock_pipeline.serving.server import Server
    from stock_pipeline.serving.service import Service

    nothing = cast(Any, None)
    zone = FolderZone(folder, 1)
    zone.shown = sys.maxsize
    follower = _follower(session, zone)
    service = Service(
        follower,
        nothing,
        nothing,
        History(lambda _sql: (), time.monotonic, 60),
        nothing,
        lambda: datetime.now(UTC),
        PriceAlerts((), nothing, None, print, lambda: datetime.now(UTC)),
    )
    found = follower.look()
    service.board.update(follower.session, found.changed)
    events = Events()
    # the market stands still: what following costs is measured apart
    server = Server(application(service, events, follows=False), events)

    def answer() -> None:
        told.send("ready")
        while True:
            told.recv()
            told.send(time.process_time())

    threading.Thread(target=answer, daemon=True).start()
    asyncio.run(server.serve([listener]))


def _ask(address: Any, path: str, seconds: float) -> tuple[int, int, list[float]]:
    """Ask over all connections; return an answer's bytes, how many came, and each one's delay in seconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    size = _answer_bytes(address, request)
    ready = selectors.DefaultSelector()
    waiting: dict[socket.socket, tuple[float, int]] = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(connection, selectors.EVENT_READ)
        connection.sendall(request)
        waiting[connection] = time.monotonic(), size
    delays: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in ready.select(1):
            connection = cast(socket.socket, key.fileobj)
            began, missing = waiting[connection]
            missing -= len(connection.recv(missing))
            if missing == 0:
                now = time.monotonic()
                delays.append(now - began)
                connection.sendall(request)
                began, missing = now, size
            waiting[connection] = began, missing
    for connection in waiting:
        connection.close()
    return size, len(delays), delays


def _answer_bytes(address: Any, request: bytes) -> int:
    """Return how many bytes the answer has, head and body, which are always as many."""
    with socket.create_connection(address) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65_536)
    head = answer.partition(b"\r\n\r\n")[0].decode().lower()
    if not head.startswith("http/1.1 200"):
        sys.exit(f"the server answers {head.splitlines()[0]}")
    lengths = [line for line in head.splitlines() if line.startswith("content-length:")]
    return len(head) + 4 + int(lengths[0].partition(":")[2])


def _in_a_process(work: Any, *arguments: Any) -> Any:
    """Run work in a process of its own, so that memory and caches are its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=work, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        sys.exit("the measured process failed")
    finally:
        process.join()


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    sys.exit(main())
