"""`make bench-serve`, its second half: how far the page is behind, at the rate of trades that one core is to carry.

Raw files of a generated session come into a folder one after the other, evenly. The server (the thread that follows,
application and stream, as `stock-pipeline serve` runs them) has one core for itself. A client of the stream adds up the
trade counts of all quotes; a file is shown at the first event with which the sum has reached its last new trade. S3 is
left out: a listing and a fetch come on top.
"""

import argparse
import http.client
import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import polars as pl

from bench.generated_session import GeneratedSession
from bench.serving import ROWS_A_FILE, FolderZone, NothingPublished
from stock_pipeline.commands.serve import LOOPBACK, listening
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.lake.session_partition import SessionPartition

PATIENCE_SECONDS = 60.0


class Behind(NamedTuple):
    """Seconds from a file's being there to its event. rows_a_second: as they came. cpu_share: of the server's core."""

    symbols: int
    rows_a_second: int
    files: int
    p50_seconds: float
    p99_seconds: float
    most_seconds: float
    cpu_share: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="trades of the session (default: 2,000,000)")
    parser.add_argument("--symbols", type=int, nargs="+", default=[500, 5_000], help="how many symbols it has")
    parser.add_argument("--rate", type=int, default=200_000, help="trades a second (default: 200,000)")
    options = parser.parse_args()
    if os.environ.get("POLARS_MAX_THREADS") != "1":
        sys.exit("POLARS_MAX_THREADS=1 is missing, so this would not measure one core")
    for symbols in options.symbols:
        session = GeneratedSession(rows=options.rows, files=max(1, options.rows // ROWS_A_FILE), symbols=symbols)
        with tempfile.TemporaryDirectory() as folder:
            written, raw = Path(folder, "written"), Path(folder, "raw-zone")
            session.write(written)
            raw.mkdir()
            print(_measure(session, written, raw, options.rate), flush=True)
    return 0


def _measure(session: GeneratedSession, written: Path, raw: Path, rate: int) -> Behind:
    cores = sorted(os.sched_getaffinity(0))
    listener = listening(LOOPBACK, 0)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(theirs, listener, raw, cores[:1]))
    server.start()
    # not in the way of what is measured
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        ours.recv()
        with _Client(listener.getsockname()) as client:
            sums = _new_trades(written)
            if sums[-1] != session.rows:
                sys.exit(f"{sums[-1]:,} trades are in the files, {session.rows:,} were generated: no figure counts")
            before, began = _cpu_seconds(ours), time.monotonic()
            came: list[float] = []
            arriving = threading.Thread(
                target=_arrive, args=(written, raw, rate * session.files / session.delivered, came), daemon=True
            )
            arriving.start()
            shown = client.wait_for(sums)
            cpu_share = (_cpu_seconds(ours) - before) / (time.monotonic() - began)
    finally:
        os.sched_setaffinity(0, cores)
        server.terminate()
        server.join()
        listener.close()
    behind = sorted(then - first for first, then in zip(came, shown, strict=True))
    p50, p99 = (behind[len(behind) * share // 100] for share in (50, 99))
    came_a_second = (len(came) - 1) / (came[-1] - came[0])
    return Behind(
        symbols=session.symbols,
        rows_a_second=int(came_a_second * session.delivered / session.files),
        files=len(behind),
        p50_seconds=round(p50, 2),
        p99_seconds=round(p99, 2),
        most_seconds=round(behind[-1], 2),
        cpu_share=round(cpu_share, 2),
    )


def _new_trades(folder: Path) -> list[int]:
    """Return how many distinct trades there are up to each file."""
    seen: set[str] = set()
    sums = []
    for path in sorted(folder.rglob("*.parquet")):
        seen.update(pl.read_parquet(path, columns=["event_id"])["event_id"])
        sums.append(len(seen))
    return sums


def _arrive(written: Path, raw: Path, files_a_second: float, came: list[float]) -> None:
    began = time.monotonic()
    for number, path in enumerate(sorted(written.rglob("*.parquet"))):
        time.sleep(max(0.0, began + number / files_a_second - time.monotonic()))
        place = raw / path.relative_to(written)
        place.parent.mkdir(parents=True, exist_ok=True)
        # whole at once, as in S3
        shutil.copyfile(path, place.with_suffix(".coming"))
        place.with_suffix(".coming").replace(place)
        came.append(time.monotonic())


class _Client:
    """A client of the stream, which asks for the board where it is told to."""

    def __init__(self, address: Any) -> None:
        self._stream, self._board = (_connection(*address) for _ in range(2))
        self._counts: dict[tuple[str, str], int] = {}
        self._total = 0

    def __enter__(self) -> "_Client":
        self._stream.request("GET", "/api/v1/stream")
        self._events = self._stream.getresponse()
        while self._events.readline().strip():
            pass
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._board.close()

    def wait_for(self, sums: list[int]) -> list[float]:
        """Return when each of the sums of trades was reached."""
        shown: list[float] = []
        event = b""
        end = time.monotonic() + PATIENCE_SECONDS
        while len(shown) < len(sums):
            line = self._events.readline()
            if not line or time.monotonic() > end:
                sys.exit(f"the stream showed {self._total:,} of {sums[-1]:,} trades, then nothing: no figure counts")
            name, _, value = line.strip().partition(b": ")
            if name == b"event":
                event = value
            elif name == b"data" and event in (b"reset", b"quotes"):
                self._take(value if event == b"quotes" else self._whole_board())
                end = time.monotonic() + PATIENCE_SECONDS
                while len(shown) < len(sums) and sums[len(shown)] <= self._total:
                    shown.append(time.monotonic())
        return shown

    def _whole_board(self) -> bytes:
        self._board.request("GET", "/api/v1/latest")
        return self._board.getresponse().read()

    def _take(self, quotes: bytes) -> None:
        for quote in msgspec.json.decode(quotes)["quotes"]:
            key, count = (quote["symbol"], quote["feed"]), quote["tradeCount"] or 0
            self._total += count - self._counts.get(key, 0)
            self._counts[key] = count


def _connection(host: str, port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)


def _cpu_seconds(server: Connection) -> float:
    server.send("how much?")
    return float(server.recv())


class _ArrivingZone(FolderZone):
    """A raw zone in a folder that files come into."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(folder, 0)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ListedObject]:
        for path in sorted(self._folder.rglob("*.parquet")):
            key = path.relative_to(self._folder).as_posix()
            if key.startswith(prefix) and key > start_after:
                self._paths[key] = path
                yield ListedObject(key, 1, key, datetime.fromtimestamp(path.stat().st_mtime, UTC))

    def folders(self, prefix: str, depth: int) -> Iterator[str]:
        list(self.list(prefix))
        return super().folders(prefix, depth)


class _NoStates:
    def read(self) -> list[Any]:
        return []


def _serve(told: Connection, listener: socket.socket, raw: Path, cores: list[int]) -> None:
    import asyncio

    from stock_pipeline.serving.app import application
    from stock_pipeline.serving.events import Events
    from stock_pipeline.serving.follower import Follower
    from stock_pipeline.serving.history import History
    from stock_pipeline.serving.price_alerts import PriceAlerts
    from stock_pipeline.serving.server import Server
    from stock_pipeline.serving.service import Service
    from stock_pipeline.wiring import utc_now

    os.sched_setaffinity(0, cores)
    nothing = cast(Any, None)
    follower = Follower(_ArrivingZone(raw), lambda _day: cast(SessionPartition, NothingPublished()), utc_now)
    history = History(lambda _sql: (), time.monotonic, 60)
    alerts = PriceAlerts((), nothing, None, print, utc_now)
    service = Service(follower, cast(Any, _NoStates()), nothing, history, nothing, utc_now, alerts)
    events = Events()
    server = Server(application(service, events), events)

    def answer() -> None:
        told.send("ready")
        while True:
            told.recv()
            told.send(time.process_time())

    threading.Thread(target=answer, daemon=True).start()
    asyncio.run(server.serve([listener]))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    sys.exit(main())
